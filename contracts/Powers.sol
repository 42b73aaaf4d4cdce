// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title Powers
/// @notice Who may do what, and after which delay: OpenZeppelin's AccessManager, unchanged. See docs/threat-model.md.
contract Powers is AccessManager {
    constructor(address initialAdmin) AccessManager(initialAdmin) {}
}
