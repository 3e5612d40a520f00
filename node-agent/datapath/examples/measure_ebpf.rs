#[path = "../tests/kernel/frames.rs"]
#[allow(dead_code)]
mod frames;
#[path = "../tests/kernel/tables.rs"]
#[allow(dead_code)]
mod tables;
use frames::*;
use sluice_abi::{EntryAction::*, dimension::*, *};
use sluice_datapath::load::*;
use sluice_plan::NodePlan;
use std::time::Instant;
use tables::Tables;

fn one_rule() -> NodePlan {
    Tables::new(&[(Drop, 0)])
        .searched(SOURCE_V4, &[(0, &[]), (0xc000_0200, &[0]), (0xc000_0300, &[])], &[], &[])
        .searched_v6(SOURCE_V6, &[(0, &[])], &[])
        .plan()
}
fn five_tuple(n: usize) -> NodePlan {
    let e = vec![(Drop, 0); n];
    let all: Vec<usize> = (0..n).collect();
    let last = [n - 1];
    Tables::new(&e)
        .direct(PROTOCOL, (DIRECT_PROTOCOL, 257), &all, &[(6, &last)])
        .searched(SOURCE_V4, &[(0, &[]), (0xc000_0200, &last), (0xc000_0300, &[])], &[], &[])
        .searched_v6(SOURCE_V6, &[(0, &[])], &[])
        .searched(DESTINATION_V4, &[(0, &last), (0x1000_0000, &last), (0x2000_0000, &all)], &[], &[])
        .searched_v6(DESTINATION_V6, &[(0, &[])], &[])
        .searched(SOURCE_PORT, &[(0, &all), (1000, &last)], &[], &[])
        .searched(DESTINATION_PORT, &[(0, &all), (80, &last), (444, &all)], &[], &[])
        .direct(TCP_FLAGS, (DIRECT_TCP_FLAGS, 256), &all, &[(2, &last)])
        .special(TCP_FLAGS, &all, &all)
        .plan()
}
fn median(mut v: Vec<u64>) -> u64 {
    v.sort();
    v[v.len() / 2]
}

fn bpf<T>(cmd: i32, a: &mut T) -> i32 {
    unsafe { libc::syscall(libc::SYS_bpf, cmd, a as *mut T, size_of::<T>()) as i32 }
}
fn drop_ns(frame: &[u8], ifx: u32) -> u64 {
    static FD: std::sync::OnceLock<i32> = std::sync::OnceLock::new();
    let fd = *FD.get_or_init(|| {
        let insns: [u64; 2] = [0x1_0000_00b7 | 0, 0x95];
        let insns = [0xb7u64 | (1u64 << 32), insns[1]];
        #[repr(C)]
        #[derive(Default)]
        struct P {
            t: u32,
            n: u32,
            i: u64,
            l: u64,
            ll: u32,
            ls: u32,
            lb: u64,
            kv: u32,
            fl: u32,
            name: [u8; 16],
            ifx: u32,
            at: u32,
        }
        let mut a =
            P { t: 6, n: 2, i: insns.as_ptr() as u64, l: c"GPL".as_ptr() as u64, at: 37, ..P::default() };
        bpf(5, &mut a)
    });
    #[repr(C)]
    #[derive(Default)]
    struct T {
        p: u32,
        a: u32,
        si: u32,
        so: u32,
        di: u64,
        dn: u64,
        rep: u32,
        dur: u32,
        ci: u32,
        co: u32,
        cin: u64,
        cout: u64,
    }
    let ctx = [0u32, frame.len() as u32, 0, ifx, 0, 0];
    let mut a = T {
        p: fd as u32,
        si: frame.len() as u32,
        di: frame.as_ptr() as u64,
        rep: 100_000,
        ci: 24,
        cin: ctx.as_ptr() as u64,
        ..T::default()
    };
    assert_eq!(bpf(10, &mut a), 0);
    a.dur as u64
}
fn main() {
    let ifx: u32 = std::env::args().nth(1).map_or(1, |a| a.parse().unwrap());

    let empty = Tables::new(&[(Pass, 0)]).plan();
    let nothing = NodePlan::default();
    let cases: Vec<(&str, NodePlan, LoadSpec, Vec<u8>)> = vec![
        (
            "nothing",
            nothing.clone(),
            LoadSpec::everything(&nothing),
            V4 { source: "192.0.2.1", ..V4 }.frame(&tcp(1024, 80, SYN)),
        ),
        (
            "one entry, no dims",
            empty.clone(),
            LoadSpec::everything(&empty),
            V4 { source: "192.0.2.1", ..V4 }.frame(&tcp(1024, 80, SYN)),
        ),
        (
            "1 rule src, hit",
            one_rule(),
            LoadSpec::everything(&one_rule()),
            V4 { source: "192.0.2.1", ..V4 }.frame(&tcp(1024, 80, SYN)),
        ),
        (
            "1 rule src, hit udp",
            one_rule(),
            LoadSpec::everything(&one_rule()),
            V4 { source: "192.0.2.1", protocol: 17, ..V4 }.frame(&udp(1024, 80, b"")),
        ),
        (
            "1 rule src, miss",
            one_rule(),
            LoadSpec::everything(&one_rule()),
            V4 { ..V4 }.frame(&tcp(1024, 80, SYN)),
        ),
        ("1 rule v6", one_rule(), LoadSpec::everything(&one_rule()), V6 { ..V6 }.frame(&tcp(1024, 80, SYN))),
        (
            "100 5-tuples last",
            five_tuple(100),
            LoadSpec::everything(&five_tuple(100)),
            V4 { source: "192.0.2.1", ..V4 }.frame(&tcp(1024, 80, SYN)),
        ),
        (
            "1000 5-tuples last",
            five_tuple(1000),
            LoadSpec::everything(&five_tuple(1000)),
            V4 { source: "192.0.2.1", ..V4 }.frame(&tcp(1024, 80, SYN)),
        ),
    ];
    // an empty drop program
    for failsafe in [true] {
        let _ = failsafe;
        for (name, plan, spec, frame) in &cases {
            let mut loads = vec![];
            let mut loaded = None;
            for _ in 0..15 {
                drop(loaded.take());
                let t = Instant::now();
                loaded = Some(load(plan, spec).unwrap());
                loads.push(t.elapsed().as_micros() as u64);
            }
            let l = loaded.unwrap();
            let f = l.facts().unwrap();
            let ns = (0..41)
                .map(|_| {
                    let a = drop_ns(frame, ifx) as f64;
                    let b = l.measure(frame, 100_000, ifx).unwrap().1.as_nanos() as f64;
                    ((b / a) * 100.0) as u64
                })
                .collect();
            println!(
                "{name:22} {:?} load {:5} us  xlated {} jited {} verified {}  {} % of drop",
                l.run(frame).unwrap().verdict,
                median(loads),
                f.translated_size / 8,
                f.jited_size,
                f.verified_instructions,
                median(ns)
            );
        }
    }
}
