//! The embedded object, parsed once for the process, and the last steps into the kernel.
//!
//! aya's own loader parses the kernel's BTF on every load, which takes longer than all the rest and which a program
//! without CO-RE relocations has no use for; so the object is taken apart by aya-obj and loaded here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{LazyLock, OnceLock};

use aya::maps::MapData;
use aya_obj::Object;
use sluice_abi::{Config, table};
use sluice_plan::Hook;

use super::raw::ProgramKind;
use super::specialise::{Constants, specialise};
use super::{LoadError, maps, raw};
use crate::object::{EXCEPTIONS_MAP, MARK_PROGRAM, TRACE_PROGRAMS, program};
use crate::program::RODATA;

/// One for XDP, one for tcx.
static SOURCES: [Source; 2] = [
    Source { parsed: LazyLock::new(|| parse(Hook::Xdp)), btf: OnceLock::new() },
    Source { parsed: LazyLock::new(|| parse(Hook::TcIngress)), btf: OnceLock::new() },
];

struct Source {
    parsed: LazyLock<Result<Object, String>>,
    btf: OnceLock<OwnedFd>,
}

fn source(hook: Hook) -> &'static Source {
    &SOURCES[usize::from(hook != Hook::Xdp)]
}

fn parse(hook: Hook) -> Result<Object, String> {
    let mut object = Object::parse(crate::object::object(hook)).map_err(|error| error.to_string())?;
    if let Some(features) = aya::features().btf() {
        object.fixup_and_sanitize_btf(features).map_err(|error| error.to_string())?;
    }
    // The plan's tables have the names of their sections.
    let maps = std::mem::take(&mut object.maps).into_iter();
    object.maps =
        maps.map(|(section, map)| (table_of(&section).map_or(section, str::to_owned), map)).collect();
    // Source lines are most of what would be copied and relocated for each load, and the kernel has no use for them.
    for function in object.functions.values_mut() {
        function.line_info.line_info.clear();
    }
    Ok(object)
}

fn table_of(section: &str) -> Option<&'static str> {
    let name = section.strip_prefix(table::SECTION)?;
    table::NAMES.into_iter().find(|table| *table == name)
}

/// A copy of the object with these constants.
pub fn object(hook: Hook, config: &Config) -> Result<Object, LoadError> {
    let mut object = source(hook).parsed.clone().map_err(LoadError::Object)?;
    let others: Vec<_> = TRACE_PROGRAMS.iter().filter_map(|name| object.programs.remove(*name)).collect();
    others.iter().for_each(|other| _ = object.functions.remove(&other.function_key()));
    object.maps.remove(EXCEPTIONS_MAP);
    let constants = HashMap::from([("CONFIG", (bytemuck::bytes_of(config), true))]);
    object.patch_map_data(constants).map_err(broken)?;
    Ok(object)
}

/// The object's types in the kernel, which the verifier needs for functions that it checks on their own.
pub fn btf(hook: Hook) -> Result<BorrowedFd<'static>, LoadError> {
    let Source { parsed, btf } = source(hook);
    if let Some(fd) = btf.get() {
        return Ok(fd.as_fd());
    }
    let object = parsed.as_ref().map_err(|error| LoadError::Object(error.clone()))?;
    let types = object.btf.as_ref().ok_or_else(|| LoadError::Object("it has no BTF".into()))?;
    let fd = raw::load_btf(&types.to_bytes()).map_err(|source| LoadError::Map {
        name: "BTF".into(),
        action: "load",
        source,
    })?;
    Ok(btf.get_or_init(|| fd).as_fd())
}

pub fn load_program(
    hook: Hook,
    object: &mut Object,
    maps: &BTreeMap<String, MapData>,
    btf: BorrowedFd<'_>,
) -> Result<OwnedFd, LoadError> {
    let text = object.functions.keys().map(|(section, _)| *section).collect();
    // The map definitions are looked up by section, so they must be the object's own.
    let definitions = std::mem::take(&mut object.maps);
    let by_name = maps.iter().filter_map(|(name, map)| {
        Some((name.as_str(), map.fd().as_fd().as_raw_fd(), definitions.get(name)?))
    });
    let program = program(hook);
    object.programs.retain(|name, _| name == program);
    object.relocate_maps(by_name, &text).map_err(broken)?;
    object.relocate_calls(&text).map_err(broken)?;
    if let (Some(map), Some(definition)) = (maps.get(RODATA), definitions.get(RODATA))
        && let Some(function) = object.programs.get(program).map(aya_obj::Program::function_key)
        && let Some(function) = object.functions.get_mut(&function)
    {
        let map = map.fd().as_fd().as_raw_fd();
        specialise(function, &Constants { map, bytes: definition.data() });
    }
    let kind = if hook == Hook::Xdp { ProgramKind::Xdp } else { ProgramKind::Tcx };
    load_one(object, program, kind, btf)
}

/// The program behind XDP, which has no maps.
pub fn load_mark_program() -> Result<OwnedFd, LoadError> {
    let mut object = source(Hook::Xdp).parsed.clone().map_err(LoadError::Object)?;
    object.programs.retain(|name, _| name == MARK_PROGRAM);
    object.relocate_calls(&HashSet::new()).map_err(broken)?;
    load_one(&object, MARK_PROGRAM, ProgramKind::Tcx, btf(Hook::Xdp)?)
}

pub struct TracePrograms {
    /// That they count in.
    pub counts: MapData,
    /// By trace point.
    pub programs: Vec<(&'static str, OwnedFd)>,
}

pub fn load_trace_programs() -> Result<TracePrograms, LoadError> {
    let mut parsed = source(Hook::Xdp).parsed.clone().map_err(LoadError::Object)?;
    let text = parsed.functions.keys().map(|(section, _)| *section).collect();
    let definition = parsed.maps.remove(EXCEPTIONS_MAP);
    let definition = definition.ok_or_else(|| LoadError::Object(format!("no map {EXCEPTIONS_MAP}")))?;
    let counts = maps::new(EXCEPTIONS_MAP, definition.clone(), btf(Hook::Xdp)?)?;
    let mut programs = Vec::new();
    for name in TRACE_PROGRAMS {
        let mut object = parsed.clone();
        object.programs.retain(|other, _| other == name);
        let own = object.programs.get(name).map(aya_obj::Program::function_key);
        object.functions.retain(|key, _| Some(*key) == own);
        let map = (EXCEPTIONS_MAP, counts.fd().as_fd().as_raw_fd(), &definition);
        object.relocate_maps([map].into_iter(), &text).map_err(broken)?;
        object.relocate_calls(&text).map_err(broken)?;
        programs.push((name, load_one(&object, name, ProgramKind::RawTracepoint, btf(Hook::Xdp)?)?));
    }
    Ok(TracePrograms { counts, programs })
}

/// The program of that name, whose calls and maps are relocated.
pub fn load_one(
    object: &Object,
    name: &str,
    kind: ProgramKind,
    btf: BorrowedFd<'_>,
) -> Result<OwnedFd, LoadError> {
    let program = object.programs.get(name).ok_or_else(|| LoadError::Object(format!("no {name}")))?;
    let function = object
        .functions
        .get(&program.function_key())
        .ok_or_else(|| LoadError::Object(format!("no code of {name}")))?;
    let request = raw::ProgramRequest {
        kind,
        name,
        instructions: &function.instructions,
        license: &program.license,
        btf,
        functions: &function.func_info.func_info_bytes(),
        function_size: function.func_info_rec_size as u32,
    };
    raw::load(&request).map_err(|(source, log)| LoadError::Program { source, log })
}

fn broken(error: impl std::fmt::Display) -> LoadError {
    LoadError::Object(error.to_string())
}
