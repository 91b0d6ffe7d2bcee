//! People who were found twice: boxes alone do not tell them from people one behind the other, their maps do.

use std::ops::Range;

use super::boxes::{Rect, keep_apart};
use super::manifest::DensePoseHead;
use crate::person::Person;

/// Who of `mapped` is somebody with a better score once more: their maps overlap by an IoU of more than `nms_iou` and share
/// more than `nms_shared` of the body's pixels of the worse one.
pub fn repeats(mapped: &[Option<Person>], head: &DensePoseHead) -> Vec<usize> {
    let mut people: Vec<(usize, &Person)> =
        mapped.iter().enumerate().filter_map(|(i, person)| Some((i, person.as_ref()?))).collect();
    people.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
    let kept =
        keep_apart(people.iter().copied(), people.len(), |(_, better), (_, person)| !repeated(person, better, head));
    people.retain(|(i, _)| kept.iter().all(|(k, _)| k != i));
    people.into_iter().map(|(i, _)| i).collect()
}

fn repeated(person: &Person, better: &Person, head: &DensePoseHead) -> bool {
    if place(person).iou(&place(better)) <= head.nms_iou {
        return false;
    }
    let end = |start: i32, length: usize| i64::from(start) + length as i64;
    let columns = i64::from(person.x.max(better.x))..end(person.x, person.width()).min(end(better.x, better.width()));
    let rows = i64::from(person.y.max(better.y))..end(person.y, person.height()).min(end(better.y, better.height()));
    let both = |y| body(person, y, &columns).zip(body(better, y, &columns)).filter(|&(a, b)| a && b).count();
    let shared: usize = rows.map(both).sum();
    let all = person.iuv.data().chunks_exact(3).filter(|pixel| pixel[0] > 0).count();
    shared as f64 > f64::from(head.nms_shared) * all as f64
}

/// Where the person's map lies in the frame.
fn place(person: &Person) -> Rect {
    let (x, y) = (person.x as f32, person.y as f32);
    Rect::new(x, y, x + person.width() as f32, y + person.height() as f32)
}

/// Whether each of these columns of the frame shows the person's body in row `y`; the map must reach as far.
fn body<'p>(person: &'p Person, y: i64, columns: &Range<i64>) -> impl Iterator<Item = bool> + use<'p> {
    let byte = |x: i64| (x - i64::from(person.x)) as usize * 3;
    let row = person.iuv.row((y - i64::from(person.y)) as usize);
    row[byte(columns.start)..byte(columns.end)].chunks_exact(3).map(|pixel| pixel[0] > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::IuvMap;

    /// A map of ten by `height` pixels at `x`, with body in the columns `body` of the picture.
    fn person(score: f32, x: i32, height: usize, body: Range<i32>) -> Option<Person> {
        let columns = (x..x + 10).flat_map(|column| [u8::from(body.contains(&column)) * 7, 1, 2]);
        let data = columns.collect::<Vec<u8>>().repeat(height);
        Some(Person { id: 0, score, x, y: 5, iuv: IuvMap::new(10, height, data).unwrap() })
    }

    fn found(people: &[Option<Person>], nms_iou: f32) -> Vec<usize> {
        let mut head: DensePoseHead = serde_json::from_value(serde_json::json!({
            "input": "rois", "features": ["p2"], "resolution": 32, "sampling_ratio": 0, "aligned": true,
            "coarse": "c", "fine": "f", "u": "u", "v": "v"
        }))
        .unwrap();
        assert!(head.nms_iou == 1.0 && head.nms_shared == 0.5, "the defaults");
        head.nms_iou = nms_iou;
        repeats(people, &head)
    }

    #[test]
    fn the_same_pixels_are_the_same_person() {
        // The best is third; six of the first one's ten columns are its too.
        let people = [person(0.6, 2, 20, 2..12), None, person(0.9, 0, 20, 0..8)];
        assert_eq!(found(&people, 0.4), [0]);
        assert_eq!(found(&people, 0.7), [0; 0], "maps too far apart (IoU 2/3)");
        assert_eq!(found(&people, 1.0), [0; 0], "never asked for");
    }

    #[test]
    fn who_stands_behind_somebody_is_somebody_else() {
        let behind = [person(0.9, 0, 20, 0..7), person(0.6, 2, 20, 5..12)];
        assert_eq!(found(&behind, 0.4), [0; 0], "two of seven columns are shared");
        let half = [person(0.9, 0, 20, 0..9), person(0.6, 0, 10, 0..9)];
        assert_eq!(found(&half, 0.4), [1], "half a body in the box of the whole");
    }

    #[test]
    fn a_repeat_has_no_repeats() {
        let chain = [person(0.9, 0, 20, 0..6), person(0.8, 1, 20, 2..8), person(0.7, 3, 20, 5..12)];
        assert_eq!(found(&chain, 0.4), [1]);
    }

    #[test]
    fn maps_apart_and_empty_ones_are_no_repeats() {
        assert_eq!(found(&[person(0.9, 0, 20, 0..9), person(0.8, 10, 20, 0..20)], 0.0), [0; 0]);
        assert_eq!(found(&[person(0.9, 0, 20, 0..9), person(0.8, 0, 20, 0..0)], 0.4), [0; 0]);
    }
}
