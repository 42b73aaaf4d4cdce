// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Not the id of any pass: the bits above the owner must be exactly 1 (creator) or 2 (worker), the owner not zero.
error InvalidPass(uint256 passId);

/// @notice Neither 1 (creator) nor 2 (worker).
error InvalidRole(uint256 role);

uint8 constant CREATOR = 1;
uint8 constant WORKER = 2;

/// @title The id of a pass: it says whose the pass is, and of which role.
///
///     255            160 159                          0
///     |     role        |           owner             |
library PassId {
    /// @dev Reverts unless `role` is CREATOR or WORKER.
    function checkRole(uint256 role) internal pure {
        require(role == CREATOR || role == WORKER, InvalidRole(role));
    }

    /// @dev The id of `account`'s pass of `role`; checks neither.
    function pack(address account, uint8 role) internal pure returns (uint256) {
        return (uint256(role) << 160) | uint160(account);
    }

    /// @dev Checks the whole word, so that no two ids name the same pass.
    function split(uint256 passId) internal pure returns (address account, uint8 role) {
        account = address(uint160(passId));
        uint256 above = passId >> 160;
        require((above == CREATOR || above == WORKER) && account != address(0), InvalidPass(passId));
        role = uint8(above);
    }

    /// @dev Whether {split} accepts `passId`.
    function isValid(uint256 passId) internal pure returns (bool) {
        uint256 above = passId >> 160;
        return (above == CREATOR || above == WORKER) && uint160(passId) != 0;
    }
}
