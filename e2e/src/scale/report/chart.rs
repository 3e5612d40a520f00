//! Propagation of an edit: a curve for each size of the fleet.

use crate::scale::curve::Curve;

use super::Stage;

/// Pixels.
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
const WIDTH: f64 = 700.0;
const HEIGHT: f64 = 320.0;
const ROOM: f64 = 60.0;

const COLOURS: [&str; 4] = ["#9db8d2", "#2f6fb0", "#16324f", "#a3a9b1"];
const MARK: &str = "#b3261e";
const QUIET: &str = "#5f6670";

/// Of an edit: until 99 % and until all have it, in seconds.
const BARS: [(f64, f64); 2] = [(1.0, 0.99), (2.0, 1.0)];
const POINTS: usize = 200;

pub fn draw(stages: &[Stage]) -> String {
    let longest = stages.iter().map(|stage| stage.edit.last()).fold(2.1, f64::max);
    let x = |seconds: f64| LEFT + WIDTH * seconds / longest;
    let y = |part: f64| TOP + HEIGHT * (1.0 - part);
    let mut drawing = axes(longest, x, y);
    for (seconds, part) in BARS {
        drawing += &format!(
            "<path d=\"M{:.1} {:.1}l-5 -5m5 5l5 -5m-5 5v-14\" stroke=\"{MARK}\" fill=\"none\" stroke-width=\"1.5\"/>\n",
            x(seconds),
            y(part)
        );
    }
    for ((index, stage), colour) in stages.iter().enumerate().zip(COLOURS) {
        drawing += &line(&stage.edit, colour, x, y);
        let place = TOP + HEIGHT - 20.0 * (stages.len() - index) as f64;
        drawing += &format!(
            "<text x=\"{:.1}\" y=\"{place:.1}\" fill=\"{colour}\" text-anchor=\"end\" font-weight=\"bold\">{} agents: 99 % \
             after {:.2} s, all after {:.2} s</text>\n",
            LEFT + WIDTH - 10.0,
            stage.agents,
            stage.edit.until(0.99),
            stage.edit.last()
        );
    }
    let (width, height) = (LEFT + WIDTH + ROOM, TOP + HEIGHT + ROOM);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<title>How an edit spreads</title>\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n{drawing}</svg>\n"
    )
}

fn axes(longest: f64, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut text = String::new();
    for percent in [0, 25, 50, 75, 100] {
        let at = y(f64::from(percent) / 100.0);
        text += &format!(
            "<path d=\"M{LEFT} {at:.1}h{WIDTH}\" stroke=\"#e3e6ea\"/>\n<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" \
             fill=\"{QUIET}\">{percent} %</text>\n",
            LEFT - 8.0,
            at + 4.5
        );
    }
    let step = if longest > 6.0 { 2.0 } else { 0.5 };
    for number in 0..=(longest / step) as usize {
        let seconds = number as f64 * step;
        text += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"{QUIET}\">{seconds} s</text>\n",
            x(seconds),
            y(0.0) + 20.0
        );
    }
    text + &format!(
        "<text x=\"{LEFT}\" y=\"24\" font-weight=\"bold\">agents that enforce an edit, by the time since it was saved; \
         arrows: bars</text>\n"
    )
}

/// From where the edit was saved.
fn line(curve: &Curve, colour: &str, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let points = [(0.0, 0.0)].into_iter().chain(curve.points(POINTS));
    let points: Vec<String> =
        points.map(|(seconds, part)| format!("{:.1} {:.1}", x(seconds), y(part))).collect();
    format!("<path d=\"M{}\" stroke=\"{colour}\" fill=\"none\" stroke-width=\"2\"/>\n", points.join("L"))
}
