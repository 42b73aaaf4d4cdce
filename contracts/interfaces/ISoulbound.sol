// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title ERC-5192, minimal soulbound token. Interface id 0xb45a3c0e.
interface IERC5192 {
    /// @notice `tokenId` cannot be transferred from now on.
    event Locked(uint256 tokenId);

    /// @notice `tokenId` can be transferred again. No VIP pass ever is.
    event Unlocked(uint256 tokenId);

    /// @notice Whether `tokenId` is locked. Reverts for a token that nobody holds.
    function locked(uint256 tokenId) external view returns (bool);
}

/// @title ERC-6454, minimal transferable token detection. Interface id 0x91a6262f.
interface IERC6454 {
    /// @notice Whether `tokenId` may go from `from` to `to`. `from` zero asks of a mint, `to` zero of a burn.
    function isTransferable(uint256 tokenId, address from, address to) external view returns (bool);
}

/// @title ERC-7572, contract-level metadata.
interface IERC7572 {
    /// @notice What {contractURI} returns has changed.
    event ContractURIUpdated();

    /// @notice JSON about the collection.
    function contractURI() external view returns (string memory);
}
