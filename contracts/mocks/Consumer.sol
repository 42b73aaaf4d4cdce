// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IScoreRegistry, Standing} from "../interfaces/IScoreRegistry.sol";

/// @title What somebody else's contract does with passes and scores: lounges that only some may enter.
contract Consumer {
    IScoreRegistry public immutable REGISTRY;

    event Entered(address indexed member, string lounge);

    error NotVip(address account);
    error NotPrioritized(address account);

    constructor(IScoreRegistry registry) {
        REGISTRY = registry;
    }

    function enterVipLounge(uint8 role) external {
        require(REGISTRY.PASS().isVip(msg.sender, role), NotVip(msg.sender));
        emit Entered(msg.sender, "vip");
    }

    function enterPriorityLounge(uint8 role) external {
        require(REGISTRY.isPrioritized(msg.sender, role), NotPrioritized(msg.sender));
        emit Entered(msg.sender, "priority");
    }

    /// @dev By proof. Whoever shows a standing must be its owner: the id of the pass says who that is.
    function enterPriorityLounge(Standing calldata standing, bytes32[] calldata proof) external {
        bool isOwn = address(uint160(standing.passId)) == msg.sender;
        require(isOwn && REGISTRY.isPrioritized(standing, proof), NotPrioritized(msg.sender));
        emit Entered(msg.sender, "priority");
    }
}
