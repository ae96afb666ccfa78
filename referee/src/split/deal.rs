//! Dealing rows, like cards: into even parts, each part like the whole.

use ansatz_core::task::Problem;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Orders rows so that any regular share of the order is like the whole: by class, or by value, shuffled inside
/// classes and among equal values.
pub(super) fn strata(
    problem: Problem,
    truth: &[f64],
    rows: &[usize],
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let mut rows = rows.to_vec();
    rows.shuffle(rng);
    rows.sort_by(|&a, &b| truth[a].total_cmp(&truth[b]));
    if !problem.is_classification() {
        return vec![rows];
    }
    rows.chunk_by(|&a, &b| truth[a] == truth[b]).map(<[usize]>::to_vec).collect()
}

/// Part number of each row of `rows`, `parts` parts of even size, stratified by the target.
pub(super) fn stratified(
    problem: Problem,
    truth: &[f64],
    rows: &[usize],
    parts: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<(usize, usize)> {
    let ordered = strata(problem, truth, rows, rng).concat();
    let mut dealt = Vec::with_capacity(ordered.len());
    let mut hand: Vec<usize> = (0..parts).collect();
    // Classes: one running deal keeps the parts even and every class spread. Values: a new order for each hand, so
    // that no part always gets the smallest of its hand.
    for chunk in ordered.chunks(parts) {
        if !problem.is_classification() || dealt.is_empty() {
            hand.shuffle(rng);
        }
        dealt.extend(chunk.iter().zip(&hand).map(|(&row, &part)| (row, part)));
    }
    dealt
}

/// Part number of each row, groups kept whole: largest group first into the part that it unbalances least.
pub(super) fn grouped(
    problem: Problem,
    truth: &[f64],
    rows: &[usize],
    groups: &[i64],
    parts: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<(usize, usize)> {
    let stratum = stratum_of_rows(problem, truth, rows);
    let strata = stratum.values().max().map_or(1, |last| last + 1);
    let mut members: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for &row in rows {
        members.entry(groups[row]).or_default().push(row);
    }
    let mut members: Vec<Vec<usize>> = members.into_values().collect();
    members.shuffle(rng);
    members.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
    let mut loads = vec![vec![0.0; strata]; parts];
    let mut totals = vec![0.0; strata];
    for row in rows {
        totals[stratum[row]] += 1.0;
    }
    let mut dealt = Vec::with_capacity(rows.len());
    for group in members {
        let mut counts = vec![0.0; strata];
        for row in &group {
            counts[stratum[row]] += 1.0;
        }
        let part = least_unbalanced(&loads, &counts, &totals);
        for (load, count) in loads[part].iter_mut().zip(&counts) {
            *load += count;
        }
        dealt.extend(group.into_iter().map(|row| (row, part)));
    }
    dealt
}

/// Rows by the first of their copies; `numbers` are shared by copies.
pub(super) fn copies(rows: &[usize], numbers: &[i64]) -> BTreeMap<usize, Vec<usize>> {
    let mut firsts: BTreeMap<i64, usize> = BTreeMap::new();
    let mut copies: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &row in rows {
        let first = *firsts.entry(numbers[row]).or_insert(row);
        copies.entry(first).or_default().push(row);
    }
    copies
}

/// Rows at most so many per class enter a stratum table; values use quartiles.
fn stratum_of_rows(problem: Problem, truth: &[f64], rows: &[usize]) -> BTreeMap<usize, usize> {
    if problem.is_classification() {
        return rows.iter().map(|&row| (row, truth[row] as usize)).collect();
    }
    let mut ordered = rows.to_vec();
    ordered.sort_by(|&a, &b| truth[a].total_cmp(&truth[b]));
    let quarter = ordered.len().div_ceil(4).max(1);
    ordered.iter().enumerate().map(|(at, &row)| (row, at / quarter)).collect()
}

fn least_unbalanced(loads: &[Vec<f64>], counts: &[f64], totals: &[f64]) -> usize {
    // Sum of squares of shares after adding: convex, hence least where the group is missed most.
    let added = |load: &[f64]| -> f64 {
        let cost = |((load, count), total): ((&f64, &f64), &f64)| {
            if *total > 0.0 { (2.0 * load * count + count * count) / (total * total) } else { 0.0 }
        };
        load.iter().zip(counts).zip(totals).map(cost).sum()
    };
    let costs: Vec<f64> = loads.iter().map(|load| added(load)).collect();
    (0..loads.len()).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or(0)
}
