// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

import {Card, Picture} from "./art/Picture.sol";
import {Text} from "./art/Text.sol";
import {IPassArt} from "./interfaces/IPassArt.sol";
import {IScoreRegistry} from "./interfaces/IScoreRegistry.sol";
import {IVIPPass} from "./interfaces/IVIPPass.sol";
import {CREATOR, PassId} from "./types/PassId.sol";

/// @title PassArt
/// @notice See {IPassArt}.
/// @dev Shows the standing that the registry has stored, however old, with its epoch. Only the pass's own name and symbol
///      are escaped: all else is digits, dates, addresses and constants, see {Text} and {Picture}.
contract PassArt is IPassArt {
    /// @notice The registry ranks other passes.
    error ForeignRegistry(IScoreRegistry registry);

    IVIPPass public immutable PASS;
    IScoreRegistry public immutable REGISTRY;

    constructor(IVIPPass pass, IScoreRegistry registry) {
        require(address(registry.PASS()) == address(pass), ForeignRegistry(registry));
        PASS = pass;
        REGISTRY = registry;
    }

    /// @inheritdoc IPassArt
    function tokenURI(uint256 passId) external view returns (string memory) {
        Card memory card = _cardOf(passId);
        return _json(
            string.concat(
                '{"name":"',
                _name(card),
                '","description":"',
                _description(card.role),
                '","image":"',
                _svg(Picture.ofPass(card)),
                '","attributes":[',
                _attributes(card),
                "]}"
            )
        );
    }

    /// @inheritdoc IPassArt
    function contractURI() external view returns (string memory) {
        return _json(
            string.concat(
                '{"name":"',
                Strings.escapeJSON(PASS.name()),
                '","symbol":"',
                Strings.escapeJSON(PASS.symbol()),
                '","description":"Soulbound memberships of the Pictor Network, earned by those who render on it and those who render for it.',
                ' Nobody can transfer, sell or approve one.","image":"',
                _svg(Picture.ofCollection(address(PASS))),
                '"}'
            )
        );
    }

    /// @inheritdoc IPassArt
    function revision() external view returns (uint256) {
        return REGISTRY.activeReport().epoch;
    }

    /// @dev Reverts for a pass that is not held. Times after the year 9999 count as its last second.
    function _cardOf(uint256 passId) private view returns (Card memory card) {
        card.since = Math.min(PASS.issuedAt(passId), Text.LAST_SECOND);
        (card.holder, card.role) = PassId.split(passId);
        (card.epoch, card.score, card.rank) = REGISTRY.standingOf(card.holder, card.role);
    }

    function _name(Card memory card) private pure returns (string memory) {
        string memory holder = Strings.toChecksumHexString(card.holder);
        return string.concat(
            "Pictor VIP ", _roleName(card.role), " ", Text.slice(holder, 0, 6), unicode"…", Text.slice(holder, 38, 42)
        );
    }

    function _description(uint8 role) private pure returns (string memory) {
        return string.concat(
            "Soulbound membership of the Pictor Network. ",
            role == CREATOR
                ? "VIP Creators come first in the render queue and are matched with the best GPUs."
                : "VIP Workers come first when jobs are assigned and earn extra rewards.",
            " Score and rank are those that were last stored on-chain, as of the epoch shown; what counts now, the score registry says."
        );
    }

    function _attributes(Card memory card) private pure returns (string memory) {
        string memory always = string.concat(
            _textTrait("Role", _roleName(card.role)),
            ",",
            _textTrait("Holder", Strings.toChecksumHexString(card.holder)),
            ",",
            _numberTrait("date", "Member since", Strings.toString(card.since))
        );
        if (card.epoch == 0) return always;
        return string.concat(
            always,
            ",",
            _numberTrait("number", "Epoch", Strings.toString(card.epoch)),
            ",",
            _numberTrait("number", "Score", Text.exactPoints(card.score)),
            ",",
            _numberTrait("number", "Rank", Strings.toString(card.rank))
        );
    }

    function _textTrait(string memory trait, string memory value) private pure returns (string memory) {
        return string.concat('{"trait_type":"', trait, '","value":"', value, '"}');
    }

    function _numberTrait(string memory display, string memory trait, string memory value) private pure returns (string memory) {
        return string.concat('{"display_type":"', display, '","trait_type":"', trait, '","value":', value, "}");
    }

    function _roleName(uint8 role) private pure returns (string memory) {
        return role == CREATOR ? "Creator" : "Worker";
    }

    function _json(string memory text) private pure returns (string memory) {
        return string.concat("data:application/json;base64,", Base64.encode(bytes(text)));
    }

    function _svg(string memory text) private pure returns (string memory) {
        return string.concat("data:image/svg+xml;base64,", Base64.encode(bytes(text)));
    }
}
