//! Colour maps: 256 colours from low to high.

/// A colour map by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Palette {
    /// Blue over green to yellow, as detectron2 and the VITON family of tools use it.
    #[default]
    Parula,
    /// Purple over teal to yellow, as MagicAnimate and its relatives use it.
    Viridis,
    /// Colours of the background and of parts 1 to 24. Coordinates take those from the first to the last, and the
    /// passages between them.
    Custom([[u8; 3]; COLORS]),
}

/// Colours of a palette of one's own: the background's and one for each part.
pub const COLORS: usize = 25;

/// A text is no palette.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaletteError {
    #[error("entry {entry}, \"{text}\", is no colour: write #rrggbb")]
    Entry { entry: usize, text: String },
    #[error("line {line}, \"{text}\", is no colour: write #rrggbb or three numbers from 0 to 255")]
    Line { line: usize, text: String },
    #[error("{0} colours, but a palette has 25: the background's and those of parts 1 to 24")]
    Count(usize),
}

impl Palette {
    /// 25 colours in one line, as `#rrggbb`, separated by commas or spaces.
    ///
    /// # Errors
    /// Where an entry is no colour or their number is another.
    pub fn from_list(text: &str) -> Result<Self, PaletteError> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty());
        let colors = words.enumerate().map(|(k, word)| {
            let color = word.strip_prefix('#').and_then(hexadecimal);
            color.ok_or_else(|| PaletteError::Entry { entry: k + 1, text: word.to_owned() })
        });
        Self::custom(colors.collect::<Result<_, _>>()?)
    }

    /// 25 colours, one in a line: `#rrggbb`, `rrggbb`, `r g b` or `r,g,b`. A `#` that does not begin a colour begins a
    /// comment; blank lines do not count.
    ///
    /// # Errors
    /// Where a line is no colour or their number is another.
    pub fn from_lines(text: &str) -> Result<Self, PaletteError> {
        let mut colors = Vec::new();
        for (k, line) in text.lines().enumerate() {
            let line = line.trim_start_matches('\u{feff}').trim();
            let (color, comment) = match line.strip_prefix('#').map(|rest| (rest, rest.get(..6).and_then(hexadecimal)))
            {
                Some((rest, color @ Some(_))) if !rest[6..].starts_with(|c: char| c.is_alphanumeric()) => {
                    (color, &rest[6..])
                }
                Some(_) => continue,
                None => {
                    let (color, comment) = line.split_at(line.find('#').unwrap_or(line.len()));
                    (hexadecimal(color.trim()).or_else(|| decimal(color)), comment)
                }
            };
            let comment = comment.trim_start();
            match color {
                Some(color) if comment.is_empty() || comment.starts_with('#') => colors.push(color),
                None if line.is_empty() => {}
                _ => return Err(PaletteError::Line { line: k + 1, text: line.chars().take(40).collect() }),
            }
        }
        Self::custom(colors)
    }

    fn custom(colors: Vec<[u8; 3]>) -> Result<Self, PaletteError> {
        colors.try_into().map(Self::Custom).map_err(|c: Vec<_>| PaletteError::Count(c.len()))
    }

    /// Red, green and blue of entry `index`.
    pub fn color(self, index: u8) -> [u8; 3] {
        let entries = match self {
            Self::Parula => &PARULA,
            Self::Viridis => &VIRIDIS,
            Self::Custom(colors) => {
                let at = usize::from(index) * (COLORS - 1);
                let (below, share) = (at / 255, at % 255);
                let above = (below + 1).min(COLORS - 1);
                return std::array::from_fn(|k| {
                    let [a, b] = [colors[below][k], colors[above][k]].map(usize::from);
                    ((a * (255 - share) + b * share + 127) / 255) as u8
                });
            }
        };
        let [_, r, g, b] = entries[usize::from(index)].to_be_bytes();
        [r, g, b]
    }

    /// Colour of a body part, or of the background for 0: entry `floor(part * 255 / 24)`, as every consumer of
    /// coloured part indices expects. Indices beyond 24 take the last entry.
    pub fn part(self, part: u8) -> [u8; 3] {
        let part = part.min(24);
        match self {
            Self::Custom(colors) => colors[usize::from(part)],
            _ => self.color((u16::from(part) * 255 / 24) as u8),
        }
    }
}

/// Six digits.
fn hexadecimal(text: &str) -> Option<[u8; 3]> {
    let digits = text.len() == 6 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let [_, r, g, b] = u32::from_str_radix(text, 16).ok().filter(|_| digits)?.to_be_bytes();
    Some([r, g, b])
}

/// Three numbers.
fn decimal(text: &str) -> Option<[u8; 3]> {
    let numbers = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty());
    numbers.map(|n| n.parse().ok()).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// OpenCV's `COLORMAP_PARULA`, `0xRRGGBB`.
#[rustfmt::skip]
static PARULA: [u32; 256] = [
    0x352A87, 0x332C8A, 0x322E8D, 0x302F8F, 0x2F3192, 0x2D3395, 0x2C3598, 0x2A379B,
    0x28389E, 0x273AA0, 0x253CA3, 0x243EA6, 0x223FA9, 0x2141AC, 0x1F43AF, 0x1D45B1,
    0x1C47B4, 0x1A48B7, 0x194ABA, 0x174CBD, 0x164EBF, 0x1450C2, 0x1251C5, 0x1153C8,
    0x0F55CB, 0x0E57CE, 0x0C58D0, 0x0B5AD3, 0x095CD6, 0x085ED9, 0x0660DC, 0x0461DF,
    0x0363E1, 0x0464E1, 0x0465E0, 0x0566E0, 0x0567DF, 0x0668DF, 0x066ADF, 0x076BDE,
    0x076CDE, 0x086DDD, 0x086EDD, 0x096FDC, 0x0970DC, 0x0A71DC, 0x0B72DB, 0x0B73DB,
    0x0C74DA, 0x0C75DA, 0x0D76DA, 0x0D77D9, 0x0E78D9, 0x0E7AD8, 0x0F7BD8, 0x0F7CD8,
    0x107DD7, 0x107ED7, 0x117FD6, 0x1180D6, 0x1281D6, 0x1382D5, 0x1383D5, 0x1484D4,
    0x1485D4, 0x1386D3, 0x1387D3, 0x1388D3, 0x128AD2, 0x128BD2, 0x118CD1, 0x118DD1,
    0x108ED0, 0x108FD0, 0x0F90D0, 0x0F91CF, 0x0F92CF, 0x0E93CE, 0x0E94CE, 0x0D95CD,
    0x0D96CD, 0x0C97CC, 0x0C98CC, 0x0C9ACC, 0x0B9BCB, 0x0B9CCB, 0x0A9DCA, 0x0A9ECA,
    0x099FC9, 0x09A0C9, 0x08A1C8, 0x08A2C8, 0x08A3C8, 0x07A4C7, 0x07A5C7, 0x06A6C6,
    0x07A7C6, 0x08A8C4, 0x0AA8C3, 0x0BA9C2, 0x0DA9C1, 0x0EAABF, 0x10ABBE, 0x12ABBD,
    0x13ACBB, 0x15ACBA, 0x16ADB9, 0x18ADB8, 0x19AEB6, 0x1BAFB5, 0x1DAFB4, 0x1EB0B3,
    0x20B0B1, 0x21B1B0, 0x23B1AF, 0x24B2AE, 0x26B3AC, 0x28B3AB, 0x29B4AA, 0x2BB4A9,
    0x2CB5A7, 0x2EB5A6, 0x2FB6A5, 0x31B6A4, 0x33B7A2, 0x34B8A1, 0x36B8A0, 0x37B99F,
    0x39B99D, 0x3CB99C, 0x3FB99B, 0x42BA99, 0x45BA98, 0x48BA97, 0x4ABA95, 0x4DBA94,
    0x50BB93, 0x53BB91, 0x56BB90, 0x58BB8E, 0x5BBB8D, 0x5EBC8C, 0x61BC8A, 0x64BC89,
    0x67BC88, 0x69BC86, 0x6CBC85, 0x6FBD84, 0x72BD82, 0x75BD81, 0x78BD80, 0x7ABD7E,
    0x7DBE7D, 0x80BE7C, 0x83BE7A, 0x86BE79, 0x88BE78, 0x8BBF76, 0x8EBF75, 0x91BF74,
    0x93BF72, 0x96BF72, 0x98BF71, 0x9ABE70, 0x9CBE6F, 0x9FBE6E, 0xA1BE6D, 0xA3BE6C,
    0xA5BE6B, 0xA7BD6A, 0xAABD69, 0xACBD68, 0xAEBD68, 0xB0BD67, 0xB3BD66, 0xB5BD65,
    0xB7BC64, 0xB9BC63, 0xBBBC62, 0xBEBC61, 0xC0BC60, 0xC2BC5F, 0xC4BB5E, 0xC7BB5E,
    0xC9BB5D, 0xCBBB5C, 0xCDBB5B, 0xD0BB5A, 0xD2BB59, 0xD4BA58, 0xD6BA57, 0xD8BA56,
    0xDABA55, 0xDBBB54, 0xDCBC53, 0xDDBC51, 0xDEBD50, 0xDFBE4F, 0xE0BE4E, 0xE2BF4C,
    0xE3BF4B, 0xE4C04A, 0xE5C149, 0xE6C147, 0xE7C246, 0xE8C345, 0xE9C343, 0xEAC442,
    0xEBC541, 0xECC540, 0xEEC63E, 0xEFC63D, 0xF0C73C, 0xF1C83B, 0xF2C839, 0xF3C938,
    0xF4CA37, 0xF5CA36, 0xF6CB34, 0xF7CB33, 0xF9CC32, 0xFACD31, 0xFBCD2F, 0xFCCE2E,
    0xFCCF2D, 0xFCD12C, 0xFCD22B, 0xFCD32A, 0xFCD529, 0xFBD628, 0xFBD827, 0xFBD926,
    0xFBDB25, 0xFBDC24, 0xFBDD23, 0xFBDF22, 0xFBE021, 0xFBE220, 0xFBE31F, 0xFBE41E,
    0xFAE61D, 0xFAE71C, 0xFAE91B, 0xFAEA1A, 0xFAEB19, 0xFAED18, 0xFAEE17, 0xFAF016,
    0xFAF115, 0xFAF314, 0xF9F413, 0xF9F512, 0xF9F711, 0xF9F810, 0xF9FA0F, 0xF9FB0E,
];

/// OpenCV's `COLORMAP_VIRIDIS` (matplotlib's viridis), `0xRRGGBB`.
#[rustfmt::skip]
static VIRIDIS: [u32; 256] = [
    0x440154, 0x440256, 0x450457, 0x450559, 0x46075A, 0x46085C, 0x460A5D, 0x460B5E,
    0x470D60, 0x470E61, 0x471063, 0x471164, 0x471365, 0x481467, 0x481668, 0x481769,
    0x48186A, 0x481A6C, 0x481B6D, 0x481C6E, 0x481D6F, 0x481F70, 0x482071, 0x482173,
    0x482374, 0x482475, 0x482576, 0x482677, 0x482878, 0x482979, 0x472A7A, 0x472C7A,
    0x472D7B, 0x472E7C, 0x472F7D, 0x46307E, 0x46327E, 0x46337F, 0x463480, 0x453581,
    0x453781, 0x453882, 0x443983, 0x443A83, 0x443B84, 0x433D84, 0x433E85, 0x423F85,
    0x424086, 0x424186, 0x414287, 0x414487, 0x404588, 0x404688, 0x3F4788, 0x3F4889,
    0x3E4989, 0x3E4A89, 0x3E4C8A, 0x3D4D8A, 0x3D4E8A, 0x3C4F8A, 0x3C508B, 0x3B518B,
    0x3B528B, 0x3A538B, 0x3A548C, 0x39558C, 0x39568C, 0x38588C, 0x38598C, 0x375A8C,
    0x375B8D, 0x365C8D, 0x365D8D, 0x355E8D, 0x355F8D, 0x34608D, 0x34618D, 0x33628D,
    0x33638D, 0x32648E, 0x32658E, 0x31668E, 0x31678E, 0x31688E, 0x30698E, 0x306A8E,
    0x2F6B8E, 0x2F6C8E, 0x2E6D8E, 0x2E6E8E, 0x2E6F8E, 0x2D708E, 0x2D718E, 0x2C718E,
    0x2C728E, 0x2C738E, 0x2B748E, 0x2B758E, 0x2A768E, 0x2A778E, 0x2A788E, 0x29798E,
    0x297A8E, 0x297B8E, 0x287C8E, 0x287D8E, 0x277E8E, 0x277F8E, 0x27808E, 0x26818E,
    0x26828E, 0x26828E, 0x25838E, 0x25848E, 0x25858E, 0x24868E, 0x24878E, 0x23888E,
    0x23898E, 0x238A8D, 0x228B8D, 0x228C8D, 0x228D8D, 0x218E8D, 0x218F8D, 0x21908D,
    0x21918C, 0x20928C, 0x20928C, 0x20938C, 0x1F948C, 0x1F958B, 0x1F968B, 0x1F978B,
    0x1F988B, 0x1F998A, 0x1F9A8A, 0x1E9B8A, 0x1E9C89, 0x1E9D89, 0x1F9E89, 0x1F9F88,
    0x1FA088, 0x1FA188, 0x1FA187, 0x1FA287, 0x20A386, 0x20A486, 0x21A585, 0x21A685,
    0x22A785, 0x22A884, 0x23A983, 0x24AA83, 0x25AB82, 0x25AC82, 0x26AD81, 0x27AD81,
    0x28AE80, 0x29AF7F, 0x2AB07F, 0x2CB17E, 0x2DB27D, 0x2EB37C, 0x2FB47C, 0x31B57B,
    0x32B67A, 0x34B679, 0x35B779, 0x37B878, 0x38B977, 0x3ABA76, 0x3BBB75, 0x3DBC74,
    0x3FBC73, 0x40BD72, 0x42BE71, 0x44BF70, 0x46C06F, 0x48C16E, 0x4AC16D, 0x4CC26C,
    0x4EC36B, 0x50C46A, 0x52C569, 0x54C568, 0x56C667, 0x58C765, 0x5AC864, 0x5CC863,
    0x5EC962, 0x60CA60, 0x63CB5F, 0x65CB5E, 0x67CC5C, 0x69CD5B, 0x6CCD5A, 0x6ECE58,
    0x70CF57, 0x73D056, 0x75D054, 0x77D153, 0x7AD151, 0x7CD250, 0x7FD34E, 0x81D34D,
    0x84D44B, 0x86D549, 0x89D548, 0x8BD646, 0x8ED645, 0x90D743, 0x93D741, 0x95D840,
    0x98D83E, 0x9BD93C, 0x9DD93B, 0xA0DA39, 0xA2DA37, 0xA5DB36, 0xA8DB34, 0xAADC32,
    0xADDC30, 0xB0DD2F, 0xB2DD2D, 0xB5DE2B, 0xB8DE29, 0xBADE28, 0xBDDF26, 0xC0DF25,
    0xC2DF23, 0xC5E021, 0xC8E020, 0xCAE11F, 0xCDE11D, 0xD0E11C, 0xD2E21B, 0xD5E21A,
    0xD8E219, 0xDAE319, 0xDDE318, 0xDFE318, 0xE2E418, 0xE5E419, 0xE7E419, 0xEAE51A,
    0xECE51B, 0xEFE51C, 0xF1E51D, 0xF4E61E, 0xF6E620, 0xF8E621, 0xFBE723, 0xFDE725,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Part colours that other tools hard-code, as published with them.
    const VIRIDIS_PARTS: &str = "440154 471063 481F70 472C7A 443983 404688 3B518B 365D8D 31688E 2C718E 287C8E 25858E \
        21908D 1F9A8A 20A386 27AD81 35B779 46C06F 5CC863 73D056 8ED645 AADC32 C5E021 E2E418 FDE725";
    const PARULA_PARTS: &str = "352A87 253CA3 1450C2 0461DF 086EDD 0E7AD8 1484D4 0F90D0 0B9CCB 06A6C6 16ADB9 26B3AC \
        37B99F 56BB90 72BD82 91BF74 AABD69 C0BC60 D8BA56 E4C04A F0C73C FCCE2E FBDC24 FAEB19 F9FB0E";

    #[test]
    fn part_colours_are_those_that_other_tools_expect() {
        for (palette, expected) in [(Palette::Viridis, VIRIDIS_PARTS), (Palette::Parula, PARULA_PARTS)] {
            let colours: Vec<String> =
                (0..=24).map(|i| palette.part(i)).map(|[r, g, b]| format!("{r:02X}{g:02X}{b:02X}")).collect();
            assert_eq!(colours.join(" "), expected, "{palette:?}");
        }
        assert_eq!(Palette::Viridis.part(200), Palette::Viridis.part(24));
    }

    /// Colours that tell their number.
    fn own() -> [[u8; 3]; COLORS] {
        std::array::from_fn(|k| [k as u8 * 10, 0xab, 255 - k as u8])
    }

    #[test]
    fn a_palette_is_read_from_a_list_and_from_lines() {
        let hex = own().map(|[r, g, b]| format!("#{r:02x}{g:02X}{b:02x}"));
        assert_eq!(Palette::from_list(&hex.join(",")), Ok(Palette::Custom(own())));
        assert_eq!(Palette::from_list(&format!(" {} ", hex.join(" ,\n "))), Ok(Palette::Custom(own())));
        let mut lines = vec!["# a comment".to_owned(), "#".into(), "#decades old".into(), String::new(), "#0".into()];
        lines.extend(own().iter().enumerate().map(|(k, &[r, g, b])| match k % 6 {
            0 => format!("#{r:02x}{g:02x}{b:02x}"),
            1 => format!("  {r:02x}{g:02x}{b:02x}  # part"),
            2 => format!("{r} {g}\t{b}"),
            3 => format!("{r}, {g}, {b} # part"),
            4 => format!("#{r:02x}{g:02x}{b:02x} # part"),
            _ => format!("{r},{g},{b}\r"),
        }));
        assert_eq!(Palette::from_lines(&lines.join("\n")), Ok(Palette::Custom(own())));
    }

    #[test]
    fn what_is_wrong_with_a_palette_is_named() {
        let list = |k: usize| vec!["#010203"; k].join(" ");
        assert_eq!(Palette::from_list(&list(24)), Err(PaletteError::Count(24)));
        assert_eq!(Palette::from_list(""), Err(PaletteError::Count(0)));
        for wrong in ["#12345", "#1234567", "123456", "red", "#12345g", "#+12345", "#ä1234"] {
            let error = PaletteError::Entry { entry: 4, text: wrong.into() };
            assert_eq!(Palette::from_list(&format!("{} {wrong}", list(3))), Err(error));
        }
        for wrong in ["red", "1 2", "1 2 3 4", "256 0 0", "-1 0 0", "#123456 7", "1.5 2 3", "12345", "ääää"] {
            let error = PaletteError::Line { line: 3, text: wrong.into() };
            assert_eq!(Palette::from_lines(&format!("# mine\n1 2 3\n{wrong}\n")), Err(error));
        }
        assert_eq!(Palette::from_lines("#12345\n#1234567\n#ä12345"), Err(PaletteError::Count(0)));
    }

    #[test]
    fn a_palette_of_ones_own_has_exact_parts_and_smooth_coordinates() {
        let palette = Palette::Custom(own());
        assert_eq!([0, 7, 24, 99].map(|k| palette.part(k)), [own()[0], own()[7], own()[24], own()[24]]);
        assert_eq!([palette.color(0), palette.color(85), palette.color(255)], [own()[0], own()[8], own()[24]]);
        assert_eq!(palette.color(90)[0], 85, "80 and 0.47 of the way to 90");
    }
}
