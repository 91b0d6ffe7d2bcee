//! Who is matched with whom: all pairs at once.

/// For each row of `gains`, all of the same length, the column it is matched with: the matching of the greatest sum, in
/// which no two rows have the same column. Pairs that gain nothing (0, negative, not a number) are not matched.
///
/// The Hungarian algorithm (Kuhn 1955; Munkres 1957) with potentials and shortest augmenting paths, O(rows² · columns) for
/// rows with as many columns of their own, at 0, that stand for "nobody".
pub fn assign(gains: &[Vec<f32>]) -> Vec<Option<usize>> {
    let rows = gains.len();
    let columns = gains.first().map_or(0, Vec::len);
    // Row and column 0 are the algorithm's own.
    let all = columns + rows;
    let cost = |row: usize, column: usize| match gains[row - 1].get(column - 1) {
        Some(gain) if *gain > 0.0 && gain.is_finite() => -f64::from(*gain),
        _ => 0.0,
    };
    let (mut of_row, mut of_column) = (vec![0.0; rows + 1], vec![0.0; all + 1]);
    let mut matched = vec![0; all + 1];
    for row in 1..=rows {
        matched[0] = row;
        let mut least = vec![f64::INFINITY; all + 1];
        let mut came_from = vec![0; all + 1];
        let mut done = vec![false; all + 1];
        let mut at = 0;
        while matched[at] != 0 {
            done[at] = true;
            let (from, mut step, mut next) = (matched[at], f64::INFINITY, 0);
            for column in 1..=all {
                if done[column] {
                    continue;
                }
                let reduced = cost(from, column) - of_row[from] - of_column[column];
                if reduced < least[column] {
                    (least[column], came_from[column]) = (reduced, at);
                }
                if least[column] < step {
                    (step, next) = (least[column], column);
                }
            }
            for column in 0..=all {
                if done[column] {
                    of_row[matched[column]] += step;
                    of_column[column] -= step;
                } else {
                    least[column] -= step;
                }
            }
            at = next;
        }
        while at != 0 {
            let before = came_from[at];
            matched[at] = matched[before];
            at = before;
        }
    }
    let mut result = vec![None; rows];
    for (column, &row) in matched.iter().enumerate().skip(1).take(columns) {
        if row > 0 && cost(row, column) < 0.0 {
            result[row - 1] = Some(column - 1);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(gains: &[Vec<f32>], matches: &[Option<usize>]) -> f32 {
        gains.iter().zip(matches).filter_map(|(row, column)| Some(row[(*column)?])).sum()
    }

    /// The best sum, by trying everything.
    fn best(gains: &[Vec<f32>], taken: &mut Vec<bool>) -> f32 {
        let Some((row, rest)) = gains.split_first() else { return 0.0 };
        let mut most = best(rest, taken);
        for column in 0..row.len() {
            if !taken[column] {
                taken[column] = true;
                most = most.max(row[column] + best(rest, taken));
                taken[column] = false;
            }
        }
        most
    }

    #[test]
    fn the_sum_is_the_greatest_and_no_column_is_taken_twice() {
        let mut seed = 1u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32
        };
        for (rows, columns) in [(1, 1), (2, 2), (3, 5), (5, 3), (4, 4), (6, 6), (1, 6), (6, 1)] {
            for _ in 0..40 {
                let gains: Vec<Vec<f32>> =
                    (0..rows).map(|_| (0..columns).map(|_| (random() - 0.4).max(0.0)).collect()).collect();
                let matches = assign(&gains);
                let mut columns_taken: Vec<usize> = matches.iter().flatten().copied().collect();
                let count = columns_taken.len();
                columns_taken.sort_unstable();
                columns_taken.dedup();
                assert_eq!(columns_taken.len(), count);
                let expected = best(&gains, &mut vec![false; columns]);
                assert!((total(&gains, &matches) - expected).abs() < 1e-5, "{gains:?} {matches:?}");
            }
        }
    }

    #[test]
    fn the_best_pair_gives_way_where_all_gain_by_it() {
        assert_eq!(assign(&[vec![0.9, 0.8], vec![0.8, 0.1]]), [Some(1), Some(0)]);
    }

    #[test]
    fn what_gains_nothing_is_not_matched() {
        assert_eq!(assign(&[vec![0.0, f32::NAN], vec![-1.0, f32::INFINITY]]), [None, None]);
        assert_eq!(assign(&[]), []);
        assert_eq!(assign(&[vec![], vec![]]), [None, None]);
    }
}
