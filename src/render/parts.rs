//! Which body parts are meant.

use std::fmt;
use std::str::FromStr;

use crate::person::PARTS;

/// A set of body parts, 1..=24; the default is all of them.
///
/// Written as numbers and ranges, separated by commas or spaces: `23,24` or `1-2, 15-22`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Parts(u32);

impl Parts {
    pub const ALL: Self = Self(((1 << PARTS) - 1) << 1);

    pub const fn contains(self, part: u8) -> bool {
        self.0.unbounded_shr(part as u32) & 1 == 1
    }
}

impl Default for Parts {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((1..=PARTS).filter(|&p| self.contains(p))).finish()
    }
}

/// A text does not name body parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePartsError {
    #[error("\"{0}\" is no body part: write numbers from 1 to 24 and ranges of them, such as 1-2,23,24")]
    Unknown(String),
    #[error("no body part is named: write numbers from 1 to 24, or leave it unset for all")]
    Empty,
}

impl FromStr for Parts {
    type Err = ParsePartsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Self(0);
        // Spaces around a dash belong to the range.
        let words = text.split('-').map(str::trim).collect::<Vec<_>>().join("-");
        for word in words.split([',', ';', ' ', '\t']).filter(|w| !w.is_empty()) {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let part = |n: &str| n.parse().ok().filter(|p| (1..=PARTS).contains(p));
            match (part(first), part(last)) {
                (Some(first), Some(last)) if first <= last => (first..=last).for_each(|p| parts.0 |= 1 << p),
                _ => return Err(ParsePartsError::Unknown(word.to_owned())),
            }
        }
        if parts.0 == 0 { Err(ParsePartsError::Empty) } else { Ok(parts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<u8> {
        let parts: Parts = text.parse().unwrap();
        (0..=255).filter(|&p| parts.contains(p)).collect()
    }

    #[test]
    fn numbers_and_ranges_are_understood() {
        assert_eq!(numbers("23,24"), [23, 24]);
        assert_eq!(numbers(" 1 - 2, 15-17 ,24"), [1, 2, 15, 16, 17, 24]);
        assert_eq!(numbers("3 4;3"), [3, 4]);
        assert_eq!(numbers("1-24"), (1..=24).collect::<Vec<_>>());
        assert_eq!("1-24".parse(), Ok(Parts::ALL));
    }

    #[test]
    fn what_is_no_part_is_named() {
        for (text, word) in
            [("0", "0"), ("23,25", "25"), ("face", "face"), ("5-3", "5-3"), ("1-2-3", "1-2-3"), ("-4", "-4")]
        {
            let error = text.parse::<Parts>().unwrap_err();
            assert_eq!(error, ParsePartsError::Unknown(word.into()), "{text}");
        }
        assert_eq!(" , ".parse::<Parts>(), Err(ParsePartsError::Empty));
    }
}
