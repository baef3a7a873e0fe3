//! Colours, in light and dark.
//!
//! The drawing is made with the light colours as attributes, so that every viewer shows it. The
//! style sheet, which outranks attributes, exchanges each of them in the dark and adds what the
//! attributes cannot say. Every use has a colour of its own, so that it can be exchanged alone.
//!
//! Canary and stable are the vermilion and the blue of Okabe and Ito's palette, which people tell
//! apart whatever colours they see, a little darker for text; lines differ in dashes and marks, too.

use plotters::style::RGBColor;

/// The plane behind everything.
pub(super) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
/// Headings.
pub(super) const INK: RGBColor = RGBColor(0x1B, 0x1F, 0x24);
/// Numbers at axes, explanations.
pub(super) const FAINT: RGBColor = RGBColor(0x57, 0x60, 0x6A);
/// Lines at the ticks of an axis.
pub(super) const GRID: RGBColor = RGBColor(0xE4, 0xE7, 0xEB);
/// Where a stage begins.
pub(super) const STAGE: RGBColor = RGBColor(0x9A, 0xA4, 0xAF);
/// The new version.
pub(super) const CANARY: RGBColor = RGBColor(0xB8, 0x47, 0x00);
/// The version that serves today.
pub(super) const STABLE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
/// The evidence.
pub(super) const EVIDENCE: RGBColor = RGBColor(0x2B, 0x30, 0x37);
/// What must not be exceeded.
pub(super) const BOUND: RGBColor = RGBColor(0x8A, 0x2B, 0x8F);
/// The rollback.
pub(super) const END: RGBColor = RGBColor(0x8A, 0x2B, 0x90);

/// Light and dark of each.
const COLOURS: [(RGBColor, &str); 10] = [
    (PAPER, "#15181C"),
    (INK, "#F2F4F6"),
    (FAINT, "#A3ADB8"),
    (GRID, "#2A3038"),
    (STAGE, "#66707B"),
    (CANARY, "#FF9D5C"),
    (STABLE, "#63B8EE"),
    (EVIDENCE, "#E3E7EB"),
    (BOUND, "#DDA0E3"),
    (END, "#DDA0E4"),
];

/// As the drawing writes it.
fn hexadecimal(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

pub(super) fn style_sheet() -> String {
    let exchanged = COLOURS.map(|(light, dark)| {
        let light = hexadecimal(light);
        format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}\n")
    });
    let (paper, stable) = (hexadecimal(PAPER), hexadecimal(STABLE));
    let (bound, stage) = (hexadecimal(BOUND), hexadecimal(STAGE));
    // Text keeps a rim of paper where it crosses a line. The numbers in a column are one width.
    format!(
        "svg{{max-width:100%;height:auto}}\n\
         text{{stroke:{paper};stroke-width:4px;stroke-linejoin:round;paint-order:stroke;\
         font-variant-numeric:tabular-nums}}\n\
         polyline{{stroke-linejoin:round;stroke-linecap:round}}\n\
         polyline[stroke=\"{stable}\"]{{stroke-dasharray:7 4}}\n\
         line[stroke=\"{bound}\"],polyline[stroke=\"{bound}\"]{{stroke-dasharray:10 4 2 4}}\n\
         line[stroke=\"{stage}\"],polyline[stroke=\"{stage}\"]{{stroke-dasharray:2 3}}\n\
         @media (prefers-color-scheme:dark){{\n{}text{{stroke:#15181C}}\n}}\n",
        exchanged.concat()
    )
}
