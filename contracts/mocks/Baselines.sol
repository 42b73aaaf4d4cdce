// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC721 as OpenZeppelinERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721 as SoladyERC721} from "solady/tokens/ERC721.sol";

/// @title What a batch of a hundred mints costs with OpenZeppelin's ERC-721; only measured, never used.
contract OpenZeppelinPass is OpenZeppelinERC721("Baseline", "BASE") {
    uint256 private _next;

    function issue(address[] calldata accounts) external {
        for (uint256 i; i < accounts.length; ++i) {
            _mint(accounts[i], ++_next);
        }
    }
}

/// @title The same with Solady's.
contract SoladyPass is SoladyERC721 {
    uint256 private _next;

    function issue(address[] calldata accounts) external {
        for (uint256 i; i < accounts.length; ++i) {
            _mint(accounts[i], ++_next);
        }
    }

    function name() public pure override returns (string memory) {
        return "Baseline";
    }

    function symbol() public pure override returns (string memory) {
        return "BASE";
    }

    function tokenURI(uint256) public pure override returns (string memory) {
        return "";
    }
}
