// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {MultiSignerERC7913} from "@openzeppelin/contracts/utils/cryptography/signers/MultiSignerERC7913.sol";

/// @title AttestorCommittee
/// @notice m of n signers as one ERC-1271 signer. They sign off-chain; whoever carries the message carries all signatures:
///         `abi.encode(bytes[] signers, bytes[] signatures)`, strictly ascending by `keccak256(signer)`.
/// @notice A signer is 20 bytes, a key or a wallet that speaks ERC-1271, or an ERC-7913 verifier and a key behind it.
/// @notice NOT protected against: one owner behind several signers. A signature stays valid for as long as its signer is a
///         member and the threshold is met: rotating signers does not void the messages that the others signed before.
contract AttestorCommittee is MultiSignerERC7913, AccessManaged, IERC1271 {
    /// @notice The threshold must be more than half of the signers, so that no two groups can sign two truths.
    error NoMajority(uint256 signers, uint256 threshold);
    /// @notice A signer that anybody, or nobody, could sign for.
    error InvalidSigner(bytes signer);

    constructor(address authority, bytes[] memory signers, uint64 threshold_)
        AccessManaged(authority)
        MultiSignerERC7913(signers, threshold_)
    {
        _requireMajority();
    }

    /// @notice Changes the committee in one step, so that it is never without a majority. By the governor.
    function rotate(bytes[] calldata added, bytes[] calldata removed, uint64 threshold_) external restricted {
        _addSigners(added);
        _setThreshold(threshold_);
        _removeSigners(removed);
        _requireMajority();
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return _rawSignatureValidation(hash, signature) ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// @dev OpenZeppelin's takes any order, at 1 000 gas a signer more. Strict order leaves no room for a signer to count twice.
    function _validateSignatures(bytes32 hash, bytes[] calldata signers, bytes[] calldata signatures)
        internal
        view
        override
        returns (bool)
    {
        if (signers.length != signatures.length) return false;
        bytes32 previous;
        for (uint256 i; i < signers.length; ++i) {
            bytes memory signer = signers[i];
            bytes32 id = keccak256(signer);
            if (id <= previous || !isSigner(signer)) return false;
            previous = id;
            bool isSigned = signer.length == 20
                ? SignatureChecker.isValidSignatureNowCalldata(address(bytes20(signer)), hash, signatures[i])
                : SignatureChecker.isValidSignatureNow(signer, hash, signatures[i]);
            if (!isSigned) return false;
        }
        return true;
    }

    /// @dev A verifier without code is no verifier: precompiles can even be made to say yes to everything.
    function _addSigners(bytes[] memory signers) internal override {
        for (uint256 i; i < signers.length; ++i) {
            bytes memory signer = signers[i];
            address account = address(bytes20(signer));
            bool isVerifier = signer.length > 20;
            require(
                account != address(0) && account != address(this) && (!isVerifier || account.code.length != 0),
                InvalidSigner(signer)
            );
        }
        super._addSigners(signers);
    }

    function _requireMajority() private view {
        uint256 signers = getSignerCount();
        require(2 * uint256(threshold()) > signers, NoMajority(signers, threshold()));
    }
}
