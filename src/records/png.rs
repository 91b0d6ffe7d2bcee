//! A map as a PNG picture: red = I, green = U, blue = V, as DensePose tools exchange it.

use std::io::Cursor;

use crate::person::IuvMap;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Decoding(#[from] ::png::DecodingError),
    #[error("it is {0}x{1} pixels, not {2}x{3}")]
    Size(u32, u32, usize, usize),
    #[error("it is not 8-bit RGB")]
    Colours,
}

/// A map with an area as a PNG; a PNG cannot have a side of 0.
pub fn encode(map: &IuvMap) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder =
        ::png::Encoder::new(&mut out, u32::try_from(map.width()).ok()?, u32::try_from(map.height()).ok()?);
    encoder.set_color(::png::ColorType::Rgb);
    encoder.set_depth(::png::BitDepth::Eight);
    encoder.set_compression(::png::Compression::Fast);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(map.data()).ok()?;
    writer.finish().ok()?;
    Some(out)
}

/// The map of `width` by `height` in a PNG; one of another size or kind is refused before its pixels are unpacked.
pub fn decode(png: &[u8], width: usize, height: usize) -> Result<IuvMap, Error> {
    let bytes = width * height * 3;
    // Beside the pixels, two rows and some chunks: what else a file brings may not cost more.
    let limits = ::png::Limits { bytes: bytes * 2 + (1 << 20) };
    let mut decoder = ::png::Decoder::new_with_limits(Cursor::new(png), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info()?;
    let info = reader.info();
    let (png_width, png_height) = (info.width, info.height);
    if (png_width as usize, png_height as usize) != (width, height) {
        return Err(Error::Size(png_width, png_height, width, height));
    }
    if reader.output_color_type() != (::png::ColorType::Rgb, ::png::BitDepth::Eight)
        || reader.output_buffer_size() != Some(bytes)
    {
        return Err(Error::Colours);
    }
    let mut data = vec![0; bytes];
    reader.next_frame(&mut data)?;
    IuvMap::new(width, height, data).map_err(|_| Error::Size(png_width, png_height, width, height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::samples::map;

    #[test]
    fn maps_come_back() {
        for (w, h) in [(1, 1), (9, 6), (1, 300), (257, 3)] {
            let map = map(w, h, 3);
            assert_eq!(decode(&encode(&map).unwrap(), w, h).unwrap(), map);
        }
        assert_eq!(encode(&IuvMap::background(0, 5)), None);
    }

    #[test]
    fn other_pictures_are_refused() {
        let png = encode(&map(9, 6, 0)).unwrap();
        assert_eq!(decode(&png, 6, 9).unwrap_err().to_string(), "it is 9x6 pixels, not 6x9");
        for end in 0..png.len() - 12 {
            assert!(decode(&png[..end], 9, 6).is_err(), "cut to {end} bytes");
        }
        let mut gray = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut gray, 9, 6);
        encoder.set_color(::png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[7; 54]).unwrap();
        writer.finish().unwrap();
        assert_eq!(decode(&gray, 9, 6).unwrap_err().to_string(), "it is not 8-bit RGB");
        // The header may claim any size: nothing is unpacked for it.
        let mut bomb = png.clone();
        bomb[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert!(decode(&bomb, 9, 6).is_err());
    }
}
