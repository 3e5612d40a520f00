//! Loading and asking a program.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use aya_obj::generated::bpf_insn;

use crate::bpf::{call, call_for_fd};

const PROG_LOAD: libc::c_int = 5;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BTF_LOAD: libc::c_int = 18;
const PROG_TYPE_SCHED_CLS: u32 = 3;
const PROG_TYPE_XDP: u32 = 6;
const PROG_TYPE_RAW_TRACEPOINT: u32 = 17;
const ATTACH_TYPE_XDP: u32 = 37;
/// The program takes frames of several buffers (large MTUs).
const XDP_HAS_FRAGS: u32 = 1 << 5;
/// The verifier's statistics and, on refusal, its last steps.
const LOG: u32 = 1 | 4;
const LOG_SIZE: usize = 16 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramKind {
    Xdp,
    Tcx,
    RawTracepoint,
}

impl ProgramKind {
    /// Type, expected attach type, flags.
    fn attributes(self) -> (u32, u32, u32) {
        match self {
            ProgramKind::Xdp => (PROG_TYPE_XDP, ATTACH_TYPE_XDP, XDP_HAS_FRAGS),
            ProgramKind::Tcx => (PROG_TYPE_SCHED_CLS, 0, 0),
            ProgramKind::RawTracepoint => (PROG_TYPE_RAW_TRACEPOINT, 0, 0),
        }
    }
}

pub struct ProgramRequest<'a> {
    pub kind: ProgramKind,
    pub name: &'a str,
    pub instructions: &'a [bpf_insn],
    pub license: &'a CStr,
    pub btf: BorrowedFd<'a>,
    /// Records that name the type of each function, and the size of one.
    pub functions: &'a [u8],
    pub function_size: u32,
}

#[repr(C)]
struct LoadAttr {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    attach_type: u32,
    btf: u32,
    function_size: u32,
    functions: u64,
    function_count: u32,
    padding: u32,
}

/// Loads without a log first, because writing one costs more than verifying; on refusal again, for the reason.
pub fn load(request: &ProgramRequest<'_>) -> Result<OwnedFd, (io::Error, String)> {
    let source = match load_once(request, &mut []) {
        Ok(fd) => return Ok(fd),
        Err(source) => source,
    };
    if source.raw_os_error() == Some(libc::EPERM) {
        return Err((source, String::new()));
    }
    let mut log = vec![0; LOG_SIZE];
    match load_once(request, &mut log) {
        Ok(fd) => Ok(fd),
        Err(source) => Err((source, last_lines(&log))),
    }
}

fn load_once(request: &ProgramRequest<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    let mut name = [0; 16];
    name.iter_mut().take(15).zip(request.name.bytes()).for_each(|(to, from)| *to = from);
    let (kind, attach_type, flags) = request.kind.attributes();
    let mut attr = LoadAttr {
        kind,
        instruction_count: request.instructions.len() as u32,
        instructions: request.instructions.as_ptr() as u64,
        license: request.license.as_ptr() as u64,
        log_level: if log.is_empty() { 0 } else { LOG },
        log_size: log.len() as u32,
        log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kernel_version: 0,
        flags,
        name,
        ifindex: 0,
        attach_type,
        btf: request.btf.as_raw_fd() as u32,
        function_size: request.function_size,
        functions: request.functions.as_ptr() as u64,
        function_count: request.functions.len() as u32 / request.function_size.max(1),
        padding: 0,
    };
    call_for_fd(PROG_LOAD, &mut attr)
}

fn last_lines(log: &[u8]) -> String {
    // The kernel takes back what it wrote of functions that it then accepted: only the first string counts.
    let text = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default());
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// Loads type information. Since Linux 4.18.
pub fn load_btf(types: &[u8]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        types: u64,
        log: u64,
        size: u32,
        log_size: u32,
        log_level: u32,
        padding: u32,
    }
    let mut attr = Attr {
        types: types.as_ptr() as u64,
        log: 0,
        size: types.len() as u32,
        log_size: 0,
        log_level: 0,
        padding: 0,
    };
    call_for_fd(BTF_LOAD, &mut attr)
}

/// What the kernel says of a program. Sizes are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramFacts {
    pub id: u32,
    /// The kernel's hash over the instructions; it does not cover `.rodata`.
    pub tag: [u8; 8],
    pub jited_size: u32,
    pub translated_size: u32,
    /// Instructions that the verifier walked.
    pub verified_instructions: u32,
}

/// `struct bpf_prog_info`, up to the last field read here.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_size: u32,
    translated_size: u32,
    unread: [u64; 23],
    recursion_misses: u64,
    verified_instructions: u32,
    attach_btf_object: u32,
}

pub fn program_facts(program: BorrowedFd<'_>) -> io::Result<ProgramFacts> {
    #[repr(C)]
    struct Attr {
        fd: u32,
        size: u32,
        info: u64,
    }
    let mut info = ProgramInfo::default();
    let mut attr = Attr {
        fd: program.as_raw_fd() as u32,
        size: size_of::<ProgramInfo>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    call(OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(ProgramFacts {
        id: info.id,
        tag: info.tag,
        jited_size: info.jited_size,
        translated_size: info.translated_size,
        verified_instructions: info.verified_instructions,
    })
}
