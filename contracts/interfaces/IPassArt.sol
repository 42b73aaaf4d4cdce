// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title How a pass looks: JSON and SVG made on-chain, no server asked.
interface IPassArt {
    /// @notice Metadata of the pass as a `data:application/json` URI, its image an SVG inside. Only for passes that are held.
    function tokenURI(uint256 passId) external view returns (string memory);

    /// @notice Metadata of the collection, likewise.
    function contractURI() external view returns (string memory);

    /// @notice A number that changes whenever all pictures may have changed: the epoch of the active report.
    function revision() external view returns (uint256);
}
