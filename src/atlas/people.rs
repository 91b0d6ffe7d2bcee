//! The surfaces of the people of a stream, and the files that they become.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::surface::{Fill, Surface};
use crate::image::Image;
use crate::person::Persons;
use crate::records::location::Location;

/// How the atlases are made and kept.
#[derive(Clone, Debug)]
pub struct Options {
    pub location: Location,
    /// Texels across a chart.
    pub side: usize,
    pub fill: Fill,
    /// Most people who are kept in memory; who was not seen for longest is written and let go.
    pub most: usize,
    /// The only person who is collected.
    pub only: Option<u32>,
}

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be written: {source}", path.display())]
pub struct WriteError {
    path: PathBuf,
    pub source: io::Error,
}

/// Everybody whose surface is collected.
pub struct People {
    options: Options,
    surfaces: BTreeMap<u32, Collected>,
    /// Who was written and let go: their file is complete, a second visit does not replace it by less.
    gone: BTreeSet<u32>,
}

struct Collected {
    surface: Surface,
    /// Number of the last frame that showed them.
    seen: u64,
}

impl People {
    pub fn new(options: Options) -> Self {
        Self { options, surfaces: BTreeMap::new(), gone: BTreeSet::new() }
    }

    /// Adds a frame, which is number `frame`; boxes are in its pixels. Results that were found in an earlier frame do
    /// not lie where they were: they are left out.
    ///
    /// # Errors
    /// Where somebody who is let go cannot be written.
    pub fn add(&mut self, frame: u64, image: &Image, found: &Persons) -> Result<(), WriteError> {
        if found.age > 0 {
            return Ok(());
        }
        let pixels = image.pixels();
        for person in &found.persons {
            let wanted = self.options.only.is_none_or(|id| id == person.id);
            if !wanted || self.gone.contains(&person.id) {
                continue;
            }
            self.make_room(person.id)?;
            let side = self.options.side;
            let new = || Collected { surface: Surface::new(side), seen: frame };
            let collected = self.surfaces.entry(person.id).or_insert_with(new);
            collected.seen = frame;
            collected.surface.add(&person.iuv, person.score.clamp(0.0, 1.0), |x, y| {
                let (x, y) = (i64::from(person.x) + x as i64, i64::from(person.y) + y as i64);
                pixels.rgb(usize::try_from(x).ok()?, usize::try_from(y).ok()?)
            });
        }
        Ok(())
    }

    /// Lets the person go who was not seen for longest, if `id` is new and there are too many.
    fn make_room(&mut self, id: u32) -> Result<(), WriteError> {
        if self.surfaces.contains_key(&id) || self.surfaces.len() < self.options.most.max(1) {
            return Ok(());
        }
        let Some((&oldest, _)) = self.surfaces.iter().min_by_key(|(_, c)| c.seen) else { return Ok(()) };
        if let Some(collected) = self.surfaces.remove(&oldest) {
            self.gone.insert(oldest);
            self.write_one(oldest, &collected.surface)?;
        }
        Ok(())
    }

    /// Writes everybody who is known; returns how many.
    ///
    /// # Errors
    /// Where a file cannot be written; those before it are complete.
    pub fn write(&self) -> Result<u32, WriteError> {
        let mut count = 0;
        for (&id, collected) in &self.surfaces {
            count += u32::from(self.write_one(id, &collected.surface)?);
        }
        Ok(count)
    }

    fn write_one(&self, id: u32, surface: &Surface) -> Result<bool, WriteError> {
        if surface.coverage() == 0.0 {
            return Ok(false);
        }
        let path = self.options.location.path(id.into());
        let (width, height, pixels) = surface.picture(self.options.fill);
        png(width, height, &pixels)
            .and_then(|bytes| replace(&path, &bytes))
            .map_err(|source| WriteError { path, source })?;
        Ok(true)
    }
}

fn png(width: usize, height: usize, pixels: &[[u8; 4]]) -> io::Result<Vec<u8>> {
    let side = |n: usize| u32::try_from(n).map_err(io::Error::other);
    let mut out = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut out, side(width)?, side(height)?);
    encoder.set_color(::png::ColorType::Rgba);
    encoder.set_depth(::png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    writer.write_image_data(pixels.as_flattened()).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)?;
    Ok(out)
}

/// A file gets its name once it is complete.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let written = fs::File::create(&part).and_then(|mut file| file.write_all(bytes));
    let named = written.and_then(|()| fs::rename(&part, path));
    if named.is_err() {
        let _ = fs::remove_file(&part);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::{IuvMap, Person};

    fn person(id: u32, x: i32) -> Person {
        let data = (0..20 * 20).flat_map(|i| [2, (i % 20 * 13) as u8, 255 - (i / 20 * 13) as u8]).collect();
        Person { id, score: 1.0, x, y: 0, iuv: IuvMap::new(20, 20, data).unwrap() }
    }

    fn frame(persons: Vec<Person>) -> Persons {
        Persons { width: 40, height: 20, age: 0, moved: false, persons }
    }

    fn people(directory: &Path, most: usize) -> People {
        let location = Location::parse(directory.join("p-%d.png").to_str().unwrap()).unwrap();
        People::new(Options { location, side: 16, fill: Fill::None, most, only: None })
    }

    /// The atlas's pixel in the middle of chart 2.
    fn middle(path: &Path) -> [u8; 4] {
        image::open(path).unwrap().to_rgba8().get_pixel(8, 16 + 8).0
    }

    /// A picture with one colour in its left half and another in its right.
    fn halves(left: [u8; 3], right: [u8; 3]) -> Vec<u8> {
        (0..20).flat_map(|_| [left; 20].into_iter().chain([right; 20])).flatten().collect()
    }

    #[test]
    fn each_person_gets_a_file_with_their_colours() {
        let directory = tempfile::tempdir().unwrap();
        let mut people = people(directory.path(), 5);
        let data = halves([200, 10, 20], [30, 40, 150]);
        let image = Image::rgb(40, 20, &data).unwrap();
        people.add(0, &image, &frame(vec![person(3, 0), person(8, 20)])).unwrap();
        assert_eq!(people.write().unwrap(), 2);
        assert_eq!(middle(&directory.path().join("p-3.png")), [200, 10, 20, 255]);
        assert_eq!(middle(&directory.path().join("p-8.png")), [30, 40, 150, 255]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_older_result_is_not_mixed_in() {
        let directory = tempfile::tempdir().unwrap();
        let mut people = people(directory.path(), 5);
        let data = halves([1; 3], [2; 3]);
        let image = Image::rgb(40, 20, &data).unwrap();
        people.add(0, &image, &Persons { age: 1, ..frame(vec![person(3, 0)]) }).unwrap();
        assert_eq!(people.write().unwrap(), 0);
    }

    #[test]
    fn who_was_not_seen_for_longest_is_written_and_let_go() {
        let directory = tempfile::tempdir().unwrap();
        let mut people = people(directory.path(), 1);
        let data = halves([200; 3], [100; 3]);
        let image = Image::rgb(40, 20, &data).unwrap();
        people.add(0, &image, &frame(vec![person(3, 0)])).unwrap();
        people.add(1, &image, &frame(vec![person(8, 20)])).unwrap();
        assert_eq!(middle(&directory.path().join("p-3.png"))[0], 200);
        people.add(2, &image, &frame(vec![person(3, 20)])).unwrap();
        assert_eq!(people.write().unwrap(), 1);
        assert_eq!(middle(&directory.path().join("p-3.png"))[0], 200, "a complete atlas is replaced");
        assert_eq!(middle(&directory.path().join("p-8.png"))[0], 100);
    }

    #[test]
    fn boxes_may_reach_out_of_the_frame() {
        let directory = tempfile::tempdir().unwrap();
        let mut people = people(directory.path(), 2);
        let data = halves([200; 3], [100; 3]);
        let image = Image::rgb(40, 20, &data).unwrap();
        people
            .add(0, &image, &frame(vec![person(1, -9), person(2, 35), person(4, i32::MIN), person(5, i32::MAX)]))
            .unwrap();
        assert!(people.write().unwrap() <= 2);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let mut people = people(&directory.path().join("nowhere"), 5);
        let data = halves([200; 3], [100; 3]);
        people.add(0, &Image::rgb(40, 20, &data).unwrap(), &frame(vec![person(3, 0)])).unwrap();
        assert!(people.write().unwrap_err().to_string().contains("nowhere/p-3.png"));
    }
}
