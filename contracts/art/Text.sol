// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

/// @title Values as people write them. All of it is plain ASCII, with nothing in it that JSON or XML would have escaped.
library Text {
    /// @dev The last second that has a four-digit year.
    uint256 internal constant LAST_SECOND = 253_402_300_799;

    uint64 private constant MICRO = 1_000_000;

    /// @dev `2025-11-22`, in UTC. `time` is Unix time, at most LAST_SECOND.
    function date(uint256 time) internal pure returns (string memory) {
        (uint256 year, uint256 month, uint256 day) = civil(time / 1 days);
        return string.concat(Strings.toString(year), "-", padded(month, 2), "-", padded(day, 2));
    }

    /// @dev The Gregorian date of a day since 1970-01-01, by Howard Hinnant's `civil_from_days`: years begin in March, so that
    ///      the leap day comes last, and repeat after 400, which is 146 097 days.
    function civil(uint256 dayNumber) internal pure returns (uint256 year, uint256 month, uint256 day) {
        // slither-disable-start divide-before-multiply
        uint256 sinceYear0 = dayNumber + 719_468;
        uint256 dayOfEra = sinceYear0 % 146_097;
        uint256 yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
        uint256 dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
        uint256 monthFromMarch = (5 * dayOfYear + 2) / 153;
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1;
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
        year = 400 * (sinceYear0 / 146_097) + yearOfEra + (month <= 2 ? 1 : 0);
        // slither-disable-end divide-before-multiply
    }

    /// @dev `1234.567890`: micro-points as a decimal number, exactly.
    function exactPoints(uint64 micro) internal pure returns (string memory) {
        return string.concat(Strings.toString(micro / MICRO), ".", padded(micro % MICRO, 6));
    }

    /// @dev `1,234.56`: micro-points for the eye. Cut, not rounded, so that nobody reads more than there is.
    function points(uint64 micro) internal pure returns (string memory) {
        return string.concat(grouped(micro / MICRO), ".", padded((micro % MICRO) / 10_000, 2));
    }

    /// @dev `1,234,567`.
    function grouped(uint256 value) internal pure returns (string memory) {
        if (value < 1000) return Strings.toString(value);
        return string.concat(grouped(value / 1000), ",", padded(value % 1000, 3));
    }

    /// @dev `value` with zeros before it, at least `width` digits.
    function padded(uint256 value, uint256 width) internal pure returns (string memory digits) {
        digits = Strings.toString(value);
        while (bytes(digits).length < width) digits = string.concat("0", digits);
    }

    /// @dev The characters of `text` from `start` to before `end`.
    function slice(string memory text, uint256 start, uint256 end) internal pure returns (string memory) {
        return string(Bytes.slice(bytes(text), start, end));
    }
}
