//! Any cells make a document that can be read, and what is known is in it.

use glidepath_core::health::sequential::{Parameters, Terms};
use glidepath_core::health::{Cell, Comparison, SlotRequests};
use glidepath_core::plan::{Permille, StageIndex};
use glidepath_core::time::{Span, Timestamp};
use proptest::prelude::*;

use super::drawing::drawing;
use super::*;

const MINUTE: Span = Span::from_secs(60);

fn report(cells: Vec<Cell>, times: Times) -> Report {
    let metrics = if cells.iter().any(|cell| cell.canary.slow.is_some()) { 2 } else { 1 };
    let parameters = Parameters::new(Terms::default(), 4, metrics).unwrap();
    let comparison = Comparison::of(parameters, cells.clone());
    let mut stages: Vec<StageName> = Vec::new();
    for (place, cell) in cells.iter().enumerate() {
        if place == 0 || cells[place - 1].stage != cell.stage {
            let (name, weight) = (cell.stage.to_string(), Some("5 %".to_owned()));
            stages.push(StageName { name, weight, from: cell.from });
        }
    }
    let rows = rows(cells.into_iter().map(|cell| (cell, MINUTE)).collect(), Some(&comparison));
    let mut report = Report {
        subject: "shop & \u{1}<co>".to_owned(),
        outcome: "it is as it is".to_owned(),
        rows,
        stages,
        times,
        period: MINUTE,
        comparison: Some(comparison),
        limit: Some(Permille(50)),
        minimum_requests: 200,
        slower_than: None,
        end: None,
    };
    report.end = first_failing(&report)
        .map(|(at, _)| End { at: report.rows[at].until(), words: "rolled back".to_owned() });
    report
}

fn slot() -> impl Strategy<Value = SlotRequests> {
    let count = prop_oneof![Just(0), 0..500_u64, Just(u64::MAX)];
    (count.clone(), count.clone(), proptest::option::of(count))
        .prop_map(|(all, bad, slow)| SlotRequests { all, bad, slow })
}

/// Cells in order; stages too, with gaps in which the weight moves or a person is waited for.
fn cells(most: usize) -> impl Strategy<Value = Vec<Cell>> {
    let cell = (slot(), slot(), 0..3_u64, proptest::bool::weighted(0.1));
    proptest::collection::vec(cell, 0..most).prop_map(|found| {
        let (mut minute, mut stage) = (30_000_000_u64, 0);
        let cells = found.into_iter().map(|(canary, stable, gap, next)| {
            minute += 1 + gap * gap;
            stage += usize::from(next);
            let from = Timestamp::from_millis(0) + MINUTE.times(minute);
            Cell { from, stage: StageIndex(stage), canary, stable }
        });
        cells.collect()
    })
}

#[track_caller]
fn texts(drawn: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(drawn).unwrap();
    let root = document.root_element();
    let (width, height): (f64, f64) = (
        root.attribute("width").unwrap().parse().unwrap(),
        root.attribute("height").unwrap().parse().unwrap(),
    );
    let named = |name: &str| {
        root.children().find(|child| child.has_tag_name(("http://www.w3.org/2000/svg", name)))
    };
    assert!(named("title").is_some() && named("desc").is_some() && named("style").is_some());
    let mut texts = Vec::new();
    for node in document.descendants() {
        for (attribute, most) in [("x", width), ("y", height), ("cx", width), ("cy", height)] {
            let Some(value) = node.attribute(attribute) else { continue };
            let value: f64 = value.parse().unwrap();
            assert!((0.0..=most).contains(&value), "{attribute} {value} of {most}");
        }
        if node.has_tag_name(("http://www.w3.org/2000/svg", "text")) {
            texts.push(node.text().unwrap_or_default().trim().to_owned());
        }
    }
    texts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cells_make_a_document_within_its_frame(cells in cells(80), labelled: bool) {
        let labels = (0..cells.len()).map(|cell| format!("<{cell}&>")).collect();
        let times = if labelled { Times::Labels(labels) } else { Times::Clock };
        let report = report(cells, times);
        let _words = (by_stage(&report), report.headline(), report.reason());
        texts(&drawing(&report).unwrap());
    }
}

fn minutes(count: usize, canary: (u64, u64), slow: Option<u64>) -> Vec<Cell> {
    let slot = |all, bad| SlotRequests { all, bad, slow };
    let minute = |number: usize| Cell {
        from: Timestamp::from_millis(1_800_000_000_000) + MINUTE.times(number as u64),
        stage: StageIndex((number / 5).min(3)),
        canary: slot(canary.0, canary.1),
        stable: slot(950, 2),
    };
    (0..count).map(minute).collect()
}

#[test]
fn what_is_known_is_in_the_drawing() {
    let drawn = drawing(&report(minutes(12, (50, 10), Some(1)), Times::Clock)).unwrap();
    let texts = texts(&drawn);
    let has = |wanted: &str| {
        assert!(texts.iter().any(|text| text.contains(wanted)), "{wanted}: {texts:?}")
    };
    for wanted in [
        "canary fails 95.0 times as often as stable",
        "bad requests, share of all, each minute",
        "slow requests",
        "● canary",
        "□ stable",
        "stage 1: 5 %",
        "bound 100",
        "limit",
        "fails: E",
        "08:04",
        "rolled back",
        "2027-01-15 from 08:00 UTC",
    ] {
        has(wanted);
    }
    assert!(drawn.contains("prefers-color-scheme:dark"));
}

#[test]
fn what_is_not_measured_has_no_panel() {
    let mut report = report(minutes(3, (50, 0), None), Times::Clock);
    assert!(!drawing(&report).unwrap().contains("slow requests"));
    report.comparison = None;
    report.rows = rows(report.rows.iter().map(|row| (row.cell, row.length)).collect(), None);
    assert!(!drawing(&report).unwrap().contains("evidence"));
    assert_eq!(report.headline(), "it is as it is");
}

#[test]
fn nights_are_small_documents_too() {
    for minutes_of in [1, 480, 10_000] {
        let drawn = drawing(&report(minutes(minutes_of, (50, 0), Some(1)), Times::Clock)).unwrap();
        texts(&drawn);
        assert!(drawn.len() < 100_000, "{minutes_of}: {}", drawn.len());
    }
}
