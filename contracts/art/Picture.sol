// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

import {CREATOR} from "../types/PassId.sol";
import {Text} from "./Text.sol";

/// @dev What a pass shows. `since` is Unix time, at most `Text.LAST_SECOND`; `epoch` 0 means that there is no standing.
struct Card {
    address holder;
    uint8 role;
    uint256 since;
    uint64 epoch;
    uint64 score;
    uint32 rank;
}

/// @title The picture of a pass: one SVG of 1024 by 1024, complete in itself.
///
///     PICTOR        ♛        2025-11-22      header
///                 \ | /
///               --  ◆  --                    emblem: the crown, the dial and the role's glyph, before the rosette
///                 / | \
///              VIP CREATOR                   title
///             0x5aAe…1BeAed                  holder
///     ─────────────────────────────────
///       SCORE       RANK       EPOCH         standing
///
/// @dev Creators have a golden nib on purple, workers a cyan fan on blue: told apart by outline and by colour at any size.
///      Two things are drawn from the holder's address, so that no two wallets' passes look the same: the dial, whose forty
///      strokes are as long as the address's digits, and the rosette.
///      Every part takes its colours from the frame around it: text inherits the palest, strokes have `currentColor`, and
///      surfaces one of the four metals. Only shapes, gradients and text: no script, style sheet, filter or file from
///      elsewhere. Show it as an image; pasted into a page, its ids could meet others.
///      Nothing needs escaping: all text is a constant of this file or comes from {Text}.
library Picture {
    // Shapes around the middle of the emblem, up is negative. Laid out by hand: a line for each surface.
    // forgefmt: disable-start

    string private constant CROWN =
        '<path fill="url(#bright)" d="M-48-258-62-314-28-292 0-332V-258z"/>'
        '<path fill="url(#deep)" d="M48-258 62-314 28-292 0-332V-258z"/>'
        '<path fill="url(#pale)" d="M-48-258H48L45-244H-45z"/>';

    /// @dev The creator's glyph: a pen's nib, cut like a stone and lit from the left.
    string private constant NIB =
        '<path fill="url(#pale)" d="M0-196H-70L-54-124H0z"/>'
        '<path fill="url(#bright)" d="M0-196H70L54-124H0z"/>'
        '<path fill="url(#bright)" d="M0-106H-58C-72-44-122-20-130 36L-64 62 0 20z"/>'
        '<path fill="url(#deep)" d="M0-106H58C72-44 122-20 130 36L64 62 0 20z"/>'
        '<path fill="url(#pale)" d="M-130 36C-122 114-28 136 0 224V20L-64 62z"/>'
        '<path fill="url(#dark)" d="M130 36C122 114 28 136 0 224V20L64 62z"/>'
        '<path fill="url(#ground)" d="M5 30H-5L0 224zM-28 14a28 28 0 0 0 56 0 28 28 0 0 0-56 0z"/>';

    /// @dev A blade of the worker's fan, the one that points up.
    string private constant BLADE =
        '<path fill="url(#bright)" d="M-24-66C-44-136-22-190 28-220A222 222 0 0 1 102-197C62-158 42-116 36-60z"/>'
        '<path fill="url(#deep)" d="M-24-66C-12-126 22-180 102-197C62-158 42-116 36-60z"/>'
        '<path fill="url(#pale)" d="M-24-66C-44-136-22-190 28-220C-6-184-28-136-24-66z"/>';

    string private constant CUBE =
        '<path fill="url(#ground)" d="M0-90 78-45V45L0 90-78 45V-45z"/>'
        '<path fill="url(#pale)" d="M0-74-64-37 0 0 64-37z"/>'
        '<path fill="url(#bright)" d="M-64-37V37L0 74V0z"/>'
        '<path fill="url(#dark)" d="M64-37V37L0 74V0z"/>';

    // forgefmt: disable-end

    function ofPass(Card memory card) internal pure returns (string memory) {
        bool isCreator = card.role == CREATOR;
        return string.concat(
            isCreator ? _goldOnPurple() : _cyanOnBlue(),
            _rosette(card.holder),
            _header(card.since),
            '<g transform="translate(512 396)">',
            _dial(card.holder),
            CROWN,
            isCreator ? NIB : _fan(),
            "</g>",
            _title(isCreator ? "VIP CREATOR" : "VIP WORKER"),
            _holder(card.holder),
            _standing(card),
            "</svg>"
        );
    }

    function ofCollection(address pass) internal pure returns (string memory) {
        return string.concat(
            _silverOnGraphite(),
            _rosette(pass),
            '<g transform="translate(512 456)">',
            CROWN,
            '</g><g transform="translate(300 468)">',
            NIB,
            '</g><g transform="translate(724 468)">',
            _fan(),
            "</g>",
            _title("PICTOR VIP"),
            '<text x="516" y="852" font-size="36" letter-spacing="8" fill-opacity=".65">CREATORS AND WORKERS</text></svg>'
        );
    }

    // ---------------------------------------------------------------------------------------------------- the frame

    function _goldOnPurple() private pure returns (string memory) {
        return _frame("#fff1c4", "#f2bb45", "#b8741a", "#6e3c08", "#5b2060", "#16061c");
    }

    function _cyanOnBlue() private pure returns (string memory) {
        return _frame("#dbfdff", "#2fd3e8", "#0f86a6", "#06506b", "#0b4a63", "#03101a");
    }

    function _silverOnGraphite() private pure returns (string memory) {
        return _frame("#ffffff", "#c3c9d6", "#7d869a", "#454c5e", "#353b4e", "#0a0b10");
    }

    /// @dev Opens the SVG: a card of a ground that is lighter in its middle, with an edge of metal. The metals, from light to
    ///      shadow, each turn half into the next one on their way down a surface.
    function _frame(
        string memory pale,
        string memory bright,
        string memory deep,
        string memory dark,
        string memory middle,
        string memory rim
    ) private pure returns (string memory) {
        string memory metals = string.concat(
            _metal("pale", pale, bright), _metal("bright", bright, deep), _metal("deep", deep, dark), _metal("dark", dark, rim)
        );
        return string.concat(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1024 1024" font-family="system-ui,sans-serif" text-anchor="middle" color="',
            bright,
            '" fill="',
            pale,
            '"><defs>',
            metals,
            '<linearGradient id="edge" x2="1" y2="1">',
            _stop("0", pale),
            _stop(".3", deep),
            _stop(".55", bright),
            _stop(".8", dark),
            _stop("1", pale),
            '</linearGradient><radialGradient id="ground" cy=".38" r=".75">',
            _stop("0", middle),
            _stop("1", rim),
            '</radialGradient></defs><rect width="1024" height="1024" rx="80" fill="url(#ground)"/>'
            '<rect x="20" y="20" width="984" height="984" rx="62" fill="none" stroke="url(#edge)" stroke-width="8"/>'
        );
    }

    function _metal(string memory name, string memory colour, string memory next) private pure returns (string memory) {
        return string.concat(
            '<linearGradient id="', name, '" x2="0" y2="2">', _stop("0", colour), _stop("1", next), "</linearGradient>"
        );
    }

    function _stop(string memory offset, string memory colour) private pure returns (string memory) {
        return string.concat('<stop offset="', offset, '" stop-color="', colour, '"/>');
    }

    // --------------------------------------------------------------------------------------------------- the emblem

    /// @dev The worker's glyph: the fan of a graphics card, seven blades around a rendered cube.
    function _fan() private pure returns (string memory blades) {
        for (uint256 i; i < 7; ++i) {
            blades = string.concat(blades, "<g", _rotated((360 * i) / 7), BLADE, "</g>");
        }
        return string.concat(blades, CUBE);
    }

    /// @dev A stroke for each of the address's forty digits, clockwise, with a gap on top for the crown.
    function _dial(address holder) private pure returns (string memory strokes) {
        for (uint256 i; i < 40; ++i) {
            uint256 digit = (uint160(holder) >> (4 * (39 - i))) & 15;
            string memory length = Strings.toString(6 + 3 * digit);
            strokes = string.concat(strokes, '<path d="M0-262v-', length, '"', _rotated(24 + 8 * i), "</path>");
        }
        return string.concat(
            '<g stroke="currentColor"><circle r="244" fill="none" stroke-opacity=".35" stroke-width="3"/>'
            '<g stroke-width="10" stroke-linecap="round">',
            strokes,
            "</g></g>"
        );
    }

    /// @dev Eighteen ellipses, fine as on a banknote; how slim they are, the address says.
    function _rosette(address holder) private pure returns (string memory lines) {
        string memory height = Strings.toString(170 + (uint256(uint8(uint160(holder))) * 3) / 4);
        for (uint256 i; i < 18; ++i) {
            lines = string.concat(lines, '<ellipse rx="470" ry="', height, '"', _rotated(10 * i), "</ellipse>");
        }
        return string.concat(
            '<g transform="translate(512 396)" fill="none" stroke="currentColor" stroke-opacity=".13" stroke-width="2">',
            lines,
            "</g>"
        );
    }

    /// @dev Ends an opening tag.
    function _rotated(uint256 degrees) private pure returns (string memory) {
        return string.concat(' transform="rotate(', Strings.toString(degrees), ')">');
    }

    // ------------------------------------------------------------------------------------------------ the lettering

    function _header(uint256 since) private pure returns (string memory) {
        return string.concat(
            '<g text-anchor="start"><text x="72" y="108" font-size="40" font-weight="700" letter-spacing="8">PICTOR</text>'
            '<text x="72" y="142" font-size="20" letter-spacing="4" fill-opacity=".65">NETWORK</text></g>'
            '<g text-anchor="end"><text x="952" y="106" font-size="34" font-weight="600">',
            Text.date(since),
            '</text><text x="954" y="142" font-size="20" letter-spacing="4" fill-opacity=".65">MEMBER SINCE</text></g>'
        );
    }

    function _title(string memory title) private pure returns (string memory) {
        return string.concat('<text x="518" y="790" font-size="76" font-weight="700" letter-spacing="12">', title, "</text>");
    }

    /// @dev The whole address. Its ends, which are what people compare, are bright and bold.
    function _holder(address holder) private pure returns (string memory) {
        string memory digits = Strings.toChecksumHexString(holder);
        return string.concat(
            '<text x="512" y="838" font-size="27" font-family="ui-monospace,monospace"><tspan font-weight="700">',
            Text.slice(digits, 0, 6),
            '</tspan><tspan fill-opacity=".65">',
            Text.slice(digits, 6, 38),
            '</tspan><tspan font-weight="700">',
            Text.slice(digits, 38, 42),
            "</tspan></text>"
        );
    }

    function _standing(Card memory card) private pure returns (string memory) {
        string memory line = '<path stroke="currentColor" stroke-opacity=".5" stroke-width="2" d="M72 866H952"/>';
        if (card.epoch == 0) return string.concat(line, _field("512", "STANDING", "No standing yet"));
        return string.concat(
            line,
            _field("212", "SCORE (POINTS)", Text.points(card.score)),
            _field("512", "RANK", string.concat("#", Text.grouped(card.rank))),
            _field("812", "EPOCH", Text.grouped(card.epoch))
        );
    }

    /// @dev A label, and its value in letters as large as 290 units of width allow: hardly a font has wider ones than 0.7.
    function _field(string memory x, string memory label, string memory value) private pure returns (string memory) {
        return string.concat(
            '<text x="',
            x,
            '" y="906" font-size="20" letter-spacing="4" fill-opacity=".65">',
            label,
            '</text><text x="',
            x,
            '" y="956" font-weight="600" font-size="',
            Strings.toString(Math.min(46, 414 / bytes(value).length)),
            '">',
            value,
            "</text>"
        );
    }
}
