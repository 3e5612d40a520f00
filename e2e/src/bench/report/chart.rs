//! The report as a bar chart.

use super::{Report, Spread};
use crate::bench::rows::Label;

/// Pixels: where bars begin, how long the longest is, and how much text may stand behind it.
const NAMES: f64 = 330.0;
const BARS: f64 = 420.0;
const REMARKS: f64 = 350.0;
const LINE: f64 = 22.0;
const THICKNESS: f64 = 14.0;

const OURS: &str = "#2f6fb0";
const OTHERS: &str = "#a3a9b1";
const MARK: &str = "#b3261e";
const QUIET: &str = "#5f6670";

/// Bars of one unit.
struct Panel<'a> {
    title: &'static str,
    bars: Vec<Bar<'a>>,
}

struct Bar<'a> {
    label: &'a Label,
    times: Spread,
    most: Option<f64>,
}

impl Report {
    /// Bars for medians, whiskers for the spread, marks for what must not be exceeded and for what others took.
    pub fn svg(&self) -> String {
        let (mut drawing, mut y) = (legend(LINE), 2.5 * LINE);
        for panel in self.panels() {
            y += LINE;
            drawing += &panel.draw(y);
            y += LINE * (panel.bars.len() + 1) as f64;
        }
        let (width, height) = (NAMES + BARS + REMARKS, y + LINE / 2.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <title>What a packet costs</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{drawing}</svg>\n"
        )
    }

    fn panels(&self) -> Vec<Panel<'_>> {
        let packets =
            self.packets.iter().map(|row| Bar { label: &row.label, times: row.total, most: row.most });
        let dropped = self.wire.rows.iter().filter(|row| row.passes.is_none());
        let dropped = dropped.map(|row| Bar { label: &row.label, times: row.drops, most: row.most() });
        let passed = self
            .wire
            .rows
            .iter()
            .filter_map(|row| Some(Bar { label: &row.label, times: row.passes?, most: row.most() }));
        vec![
            Panel {
                title: "a packet through a program, × an empty program that drops it",
                bars: packets.collect(),
            },
            Panel { title: "dropped end to end, × an empty program in the driver", bars: dropped.collect() },
            Panel { title: "passed end to end, × an empty program in the driver", bars: passed.collect() },
        ]
    }
}

impl Panel<'_> {
    fn draw(&self, top: f64) -> String {
        let longest =
            self.bars.iter().map(|bar| bar.times.most.max(bar.most.unwrap_or(0.0))).fold(1.0, f64::max);
        let lines = (1..).map(|number| top + LINE * f64::from(number));
        let bars = self.bars.iter().zip(lines).map(|(bar, y)| bar.draw(y, BARS / longest));
        let title = format!("<text x=\"{NAMES}\" y=\"{top}\" font-weight=\"bold\">{}</text>\n", self.title);
        std::iter::once(title).chain(bars).collect()
    }
}

impl Bar<'_> {
    /// On the line that text of this bar stands on; `scale` is in pixels.
    fn draw(&self, y: f64, scale: f64) -> String {
        let Bar { label, times, most } = self;
        let at = |times: f64| NAMES + times * scale;
        let (fill, middle) = (if label.ours { OURS } else { OTHERS }, y - 4.5);
        let mut text = format!(
            "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{NAMES}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{THICKNESS}\" fill=\"{fill}\"/>\n\
             <path d=\"M{:.1} {middle:.1}H{:.1}\" stroke=\"black\"/>\n",
            NAMES - 8.0,
            escape(&label.name),
            middle - THICKNESS / 2.0,
            times.median * scale,
            at(times.least),
            at(times.most),
        );
        let mut end = at(times.most);
        if let Some(most) = most {
            text += &tick(at(*most), middle);
            end = end.max(at(*most));
        }
        for other in label.references.iter().filter(|other| other.times * scale <= BARS) {
            text += &diamond(at(other.times), middle);
            end = end.max(at(other.times) + 4.0);
        }
        let remark = self.remark();
        text + &format!("<text x=\"{:.1}\" y=\"{y:.1}\">{:.2}{remark}</text>\n", end + 6.0, times.median)
    }

    fn remark(&self) -> String {
        let kept = |most: f64| if self.times.median > most { "missed: " } else { "" };
        let bar = self.most.map(|most| format!("{}bar {:.2}", kept(most), most));
        let others = self.label.references.iter().map(|other| format!("◆ {} {}", other.name, other.times));
        let remarks: Vec<String> = bar.into_iter().chain(others).map(|remark| escape(&remark)).collect();
        format!("<tspan dx=\"8\" fill=\"{QUIET}\" font-size=\"11\">{}</tspan>", remarks.join(" · "))
    }
}

fn legend(y: f64) -> String {
    let middle = y - 4.5;
    let box_of = |x: f64, fill| {
        format!(
            "<rect x=\"{x}\" y=\"{}\" width=\"24\" height=\"{THICKNESS}\" fill=\"{fill}\"/>\n",
            middle - THICKNESS / 2.0
        )
    };
    let text = |x: f64, text| format!("<text x=\"{x}\" y=\"{y}\">{text}</text>\n");
    [
        box_of(NAMES, OURS),
        text(NAMES + 30.0, "Sluice"),
        box_of(NAMES + 90.0, OTHERS),
        text(NAMES + 120.0, "others, in the same rounds"),
        tick(NAMES + 320.0, middle),
        text(NAMES + 328.0, "bar: not to be exceeded"),
        diamond(NAMES + 500.0, middle),
        text(NAMES + 510.0, "others, measured elsewhere"),
    ]
    .concat()
}

fn tick(x: f64, middle: f64) -> String {
    let (top, bottom) = (middle - LINE / 2.0 + 1.0, middle + LINE / 2.0 - 1.0);
    format!("<path d=\"M{x:.1} {top:.1}V{bottom:.1}\" stroke=\"{MARK}\" stroke-width=\"2\"/>\n")
}

fn diamond(x: f64, middle: f64) -> String {
    format!("<path d=\"M{x:.1} {:.1}l4 4l-4 4l-4 -4z\" fill=\"{QUIET}\"/>\n", middle - 4.0)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
