//! People moved with the picture, between inferences.
//!
//! A [`Follower`] keeps a small picture of luma of the frame that was analysed (480 pixels on the longer side, and
//! halves of it). In each later frame it looks for small squares of every person's body: inverse compositional alignment
//! from coarse to fine, as in dense inverse search (Kroeger et al., ECCV 2016). What they say becomes a smooth field of
//! displacements: the affine motion that most agree on, and a residual that is held together like a membrane. Boxes
//! and maps move along it; parts and coordinates are nearest neighbours and never mixed. Where the edge of the picture
//! cut the box, what comes in continues the map.
//!
//! Every frame is compared with the analysed one itself, so that nothing drifts, and so that frames in between may
//! be left out. It takes no other knowledge than luma: who turns around or comes out from behind something keeps the old map.
//!
//! Where the result is known at once:
//! ```
//! # use gstdensepose::{image::Image, motion::Follower, person::Persons};
//! # let (first, second) = (vec![0; 64 * 48 * 3], vec![0; 64 * 48 * 3]);
//! # let (first, second) = (Image::rgb(64, 48, &first)?, Image::rgb(64, 48, &second)?);
//! # let found = Persons { width: 64, height: 48, ..Persons::default() };
//! let mut follower = Follower::default();
//! follower.analysed(&first, found);
//! let there_now = follower.moved(&second);
//! assert!(there_now.is_some_and(|persons| persons.moved));
//! # Ok::<(), gstdensepose::image::ImageError>(())
//! ```
//! Where it comes some frames late, [`Follower::submitted`] is told of the picture when the inference begins, and
//! [`Follower::result`] of the result when it ends; in between [`Follower::moved`] goes on with the result before.

mod body;
mod field;
mod luma;
mod patches;
mod resample;
#[cfg(test)]
mod tests;

use crate::image::Image;
use crate::person::{Person, Persons};
use body::Body;
use luma::Pyramid;

/// Moves the people of an analysed picture with the pictures that follow.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// The picture of an inference that has begun.
    submitted: Pyramid,
    /// The picture of the last result.
    analysed: Pyramid,
    now: Pyramid,
    /// The last result, without its people once they are among `bodies`.
    found: Option<Persons>,
    bodies: Vec<Body>,
}

impl Follower {
    /// Takes `persons` as the people in `image`.
    pub fn analysed(&mut self, image: &Image, persons: Persons) {
        self.submitted(image);
        self.result(persons);
    }

    /// Keeps what [`result`](Self::result) needs of a picture whose inference begins. One inference at a time: the
    /// picture takes the place of one submitted before.
    pub fn submitted(&mut self, image: &Image) {
        self.submitted.fill(image);
    }

    /// Takes `persons` as the people in the picture that was submitted last.
    pub fn result(&mut self, persons: Persons) {
        std::mem::swap(&mut self.submitted, &mut self.analysed);
        self.bodies.clear();
        self.found = Some(persons);
    }

    /// Forgets everybody: what comes next shows another scene.
    pub fn restart(&mut self) {
        self.found = None;
        self.bodies.clear();
    }

    /// The people of the last result where they are in `image`: those of whom something is left in the picture, in the
    /// same order, with ids, scores and age as they were. `None` where there is no result, or one of a picture of
    /// another size.
    pub fn moved(&mut self, image: &Image) -> Option<Persons> {
        let found = self.found.as_mut()?;
        if (image.width(), image.height()) != self.analysed.size {
            return None;
        }
        // Only now: where every frame is analysed nobody asks.
        let new = std::mem::take(&mut found.persons);
        let shown = |p: &Person| p.width() > 0 && p.height() > 0;
        self.bodies.extend(new.into_iter().filter(shown).map(|person| Body::new(person, &self.analysed)));
        if !self.bodies.is_empty() {
            self.now.fill(image);
        }
        let (size, scale) = (self.analysed.size, self.analysed.scale);
        for body in &mut self.bodies {
            body.follow(&self.now);
        }
        let persons = self.bodies.iter().filter_map(|body| body.moved(size, scale)).collect();
        Some(Persons { persons, moved: true, ..*found })
    }
}
