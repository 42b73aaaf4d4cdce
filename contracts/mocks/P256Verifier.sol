// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC7913P256Verifier} from "@openzeppelin/contracts/utils/cryptography/verifiers/ERC7913P256Verifier.sol";

/// @title OpenZeppelin's verifier of P-256 keys, so that tests can deploy it.
contract P256Verifier is ERC7913P256Verifier {}
