//! Several goals at once: who beats whom, in what order fronts lie behind one another, and how much a front covers.
//! Everything is said of losses, of which less is better.

/// Whether one point of losses is nowhere worse than another and somewhere better.
pub fn dominates(one: &[f64], other: &[f64]) -> bool {
    let mut better = false;
    for (a, b) in one.iter().zip(other) {
        if a > b {
            return false;
        }
        better |= a < b;
    }
    better
}

/// For each point the number of its front: 0 for those that no other beats, 1 for those that only they beat, ….
pub fn front_numbers(points: &[Vec<f64>]) -> Vec<usize> {
    let mut numbers = vec![usize::MAX; points.len()];
    let mut left: Vec<usize> = (0..points.len()).collect();
    let mut front = 0;
    while !left.is_empty() {
        let (beaten, best): (Vec<usize>, Vec<usize>) =
            left.iter().partition(|at| left.iter().any(|other| dominates(&points[*other], &points[**at])));
        for at in best {
            numbers[at] = front;
        }
        left = beaten;
        front += 1;
    }
    numbers
}

/// How lonely each point of a front is: the sum over the goals of the distance between its neighbours, each goal
/// scaled to its range; infinite at the ends. (Deb et al., "A fast and elitist multiobjective genetic algorithm:
/// NSGA-II", 2002.)
pub fn crowding(points: &[&Vec<f64>]) -> Vec<f64> {
    let mut lonely = vec![0.0; points.len()];
    for goal in 0..points.first().map_or(0, |point| point.len()) {
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|a, b| points[*a][goal].total_cmp(&points[*b][goal]));
        let (first, last) = (order[0], order[order.len() - 1]);
        let range = points[last][goal] - points[first][goal];
        lonely[first] = f64::INFINITY;
        lonely[last] = f64::INFINITY;
        if range > 0.0 {
            for three in order.windows(3) {
                lonely[three[1]] += (points[three[2]][goal] - points[three[0]][goal]) / range;
            }
        }
    }
    lonely
}

/// A box of losses: lower and upper corner.
pub type Box = (Vec<f64>, Vec<f64>);

/// Disjoint boxes that together are everything that no point of a front beats, below a reference.
///
/// Slices along the last goal, in each slice the same question with one goal less.
pub fn open_boxes(points: &[Vec<f64>], reference: &[f64]) -> Vec<Box> {
    let goals = reference.len();
    let last = goals - 1;
    if goals == 1 {
        let best = points.iter().map(|point| point[0]).fold(reference[0], f64::min);
        return vec![(vec![f64::NEG_INFINITY], vec![best])];
    }
    let mut cuts: Vec<f64> =
        points.iter().map(|point| point[last]).filter(|at| *at < reference[last]).collect();
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    let ends = cuts.iter().copied().chain([reference[last]]);
    let starts = [f64::NEG_INFINITY].into_iter().chain(cuts.iter().copied());
    let mut boxes = Vec::new();
    for (from, to) in starts.zip(ends) {
        let below: Vec<Vec<f64>> =
            points.iter().filter(|point| point[last] <= from).map(|point| point[..last].to_vec()).collect();
        for (mut low, mut high) in open_boxes(&unbeaten(below), &reference[..last]) {
            low.push(from);
            high.push(to);
            boxes.push((low, high));
        }
    }
    boxes
}

fn unbeaten(mut points: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    points.sort_by(|a, b| {
        a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    points.dedup();
    let kept: Vec<bool> =
        points.iter().map(|point| !points.iter().any(|other| dominates(other, point))).collect();
    let mut kept = kept.iter();
    points.retain(|_| *kept.next().unwrap_or(&false));
    points
}

/// The volume between points and a reference: what the points cover, the measure of a front.
pub fn hypervolume(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    let inside: Vec<Vec<f64>> =
        points.iter().filter(|point| point.iter().zip(reference).all(|(a, b)| a < b)).cloned().collect();
    if inside.is_empty() {
        return 0.0;
    }
    // Everything from the ideal corner on, less what is open.
    let ideal: Vec<f64> = (0..reference.len())
        .map(|goal| inside.iter().map(|point| point[goal]).fold(f64::INFINITY, f64::min))
        .collect();
    let volume = |low: &[f64], high: &[f64]| -> f64 {
        low.iter().zip(high).zip(&ideal).map(|((a, b), least)| (b - a.max(*least)).max(0.0)).product()
    };
    let open: f64 = open_boxes(&unbeaten(inside.clone()), reference).iter().map(|(a, b)| volume(a, b)).sum();
    volume(&ideal, reference) - open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fronts_are_numbered_from_the_best() {
        let points = [[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [4.0, 4.0], [2.0, 2.0]].map(Vec::from);
        assert_eq!(front_numbers(&points), [0, 0, 0, 1, 2, 0]);
    }

    #[test]
    fn the_ends_of_a_front_are_loneliest() {
        let points = [[0.0, 10.0], [1.0, 9.0], [5.0, 5.0], [10.0, 0.0]].map(Vec::from);
        let lonely = crowding(&points.iter().collect::<Vec<_>>());
        assert!(lonely[0].is_infinite() && lonely[3].is_infinite());
        assert!(lonely[2] > lonely[1]);
    }

    #[test]
    fn volumes_are_those_of_geometry() {
        let check = |points: &[&[f64]], reference: &[f64], wanted: f64| {
            let points: Vec<Vec<f64>> = points.iter().map(|point| point.to_vec()).collect();
            assert!((hypervolume(&points, reference) - wanted).abs() < 1e-12, "{points:?}");
        };
        check(&[&[1.0]], &[3.0], 2.0);
        check(&[&[1.0, 1.0]], &[2.0, 3.0], 2.0);
        check(&[&[0.0, 2.0], &[1.0, 1.0], &[2.0, 0.0]], &[3.0, 3.0], 6.0);
        check(&[&[0.0, 2.0], &[1.0, 1.0], &[2.0, 0.0], &[2.5, 2.5], &[9.0, -9.0]], &[3.0, 3.0], 6.0);
        check(&[&[0.0, 0.0, 1.0], &[1.0, 1.0, 0.0]], &[2.0, 2.0, 2.0], 4.0 + 2.0 - 1.0);
        check(&[&[5.0, 5.0]], &[3.0, 3.0], 0.0);
    }
}
