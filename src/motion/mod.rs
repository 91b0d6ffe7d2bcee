//! WIP
mod body;
mod field;
mod luma;
mod patches;
mod resample;

use crate::image::Image;
use crate::person::Persons;
use body::Body;
use luma::Pyramid;

/// Moves the people of an analysed picture with the pictures that follow.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    submitted: Pyramid,
    now: Pyramid,
    /// Who was found, and when.
    found: Persons,
    bodies: Vec<Body>,
}

impl Follower {
    pub fn analysed(&mut self, image: &Image, persons: &Persons) {
        self.submitted(image);
        self.result(persons);
    }

    pub fn submitted(&mut self, image: &Image) {
        self.submitted.fill(image);
    }

    pub fn result(&mut self, persons: &Persons) {
        let known = |p: &&crate::person::Person| p.width() > 0 && p.height() > 0;
        self.bodies = persons.persons.iter().filter(known).map(|person| Body::new(person, &self.submitted)).collect();
        self.found = Persons { persons: Vec::new(), ..persons.clone() };
    }

    pub fn moved(&mut self, image: &Image) -> Persons {
        self.now.fill(image);
        for body in &mut self.bodies {
            body.follow(&self.now);
        }
        let persons = self.bodies.iter().filter_map(|body| body.moved(self.now.size, self.now.scale)).collect();
        Persons { persons, ..self.found.clone() }
    }
}
