//! Any bytes at all: the program comes to a verdict, and never to `XDP_ABORTED`.

use sluice_abi::Stat;
use sluice_datapath::test_run::{MIN_FRAME, RunError, XdpAction};

use super::frames::*;
use super::{filters, loaded, run};

/// Every prefix of frames with many layers, and every one of their bytes set to others.
#[test]
fn no_frame_is_aborted() {
    let loaded = loaded(&filters::plan());
    let chain = extension(44, &fragment(51, 0, true, &extension(6, &tcp(1, 80, ACK))));
    let frames = [
        ethernet(&[(0x88a8, 1), (0x8100, 2)], 0x0800, &V4 { options: 40, ..V4 }.packet(&tcp(1, 80, SYN))),
        ethernet(&[(0x8100, 1)], 0x86dd, &V6 { next: 0, ..V6 }.packet(&chain)),
        V4 { protocol: 17, ..V4 }.frame(&udp(1, 53, b"payload")),
        V6 { next: 58, ..V6 }.frame(&icmp(128, 0)),
    ];
    let mut runs = 0;
    let mut check = |frame: &[u8]| {
        let verdict = run(&loaded, frame).verdict;
        assert!([XdpAction::Pass, XdpAction::Drop].contains(&verdict), "{verdict:?} for {frame:02x?}");
        runs += 1;
    };
    for frame in &frames {
        (MIN_FRAME..frame.len()).for_each(|length| check(&frame[..length]));
        for at in 12..frame.len() {
            for value in [0, 1, 0x0f, 0x2c, 0x40, 0x7f, 0x80, 0xff] {
                let mut changed = frame.clone();
                changed[at] = value;
                check(&changed);
            }
        }
    }
    assert_eq!(loaded.staged_stat(Stat::Packets).expect("a statistic"), runs);
}

#[test]
fn a_frame_of_several_buffers_is_read() {
    let loaded = loaded(&filters::plan());
    let payload = [tcp(1, 443, ACK), vec![0; 8000]].concat();
    let outcome = run(&loaded, &V4.frame(&payload));
    assert_eq!((outcome.verdict, outcome.trace.malformed, outcome.trace.entry), (XdpAction::Pass, 0, 1));
}

#[test]
fn a_frame_that_the_kernel_cannot_run_is_an_error() {
    let loaded = loaded(&filters::plan());
    assert!(matches!(loaded.run(&[0; MIN_FRAME - 1]), Err(RunError::TooShort(13))));
}
