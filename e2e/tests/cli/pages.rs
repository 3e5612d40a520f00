//! Pages whose examples are run: what they say comes out does.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use sluice_e2e::process::program;

use crate::run::quiet;

const WRITING_FILTERS: &str = include_str!("../../../docs/writing-filters.md");
const ADDRESS_SETS: &str = include_str!("../../../docs/address-sets.md");

/// A fenced block: the language and the file that it is saved as, and its lines.
struct Block<'p> {
    info: Vec<&'p str>,
    text: String,
}

#[test]
fn writing_filters_says_what_comes_out() {
    let (files, commands) = follow(WRITING_FILTERS);
    assert!(files >= 10 && commands >= 10, "{files} files, {commands} commands");
}

#[test]
fn address_sets_says_what_comes_out() {
    let (files, commands) = follow(ADDRESS_SETS);
    assert!(files >= 8 && commands >= 5, "{files} files, {commands} commands");
}

/// Saves what a page says is a file, runs what it says is a command, and counts both.
fn follow(page: &str) -> (usize, usize) {
    let place = tempfile::tempdir().unwrap();
    let kubectl = place.path().join("kubectl");
    let plugin = program("kubectl-sluice").unwrap();
    std::fs::write(&kubectl, format!("#!/bin/sh\nshift\nexec {} \"$@\"\n", plugin.display())).unwrap();
    std::fs::set_permissions(&kubectl, PermissionsExt::from_mode(0o755)).unwrap();
    let (mut files, mut commands) = (0, 0);
    for block in blocks(page) {
        match block.info[..] {
            ["yaml" | "text", file] => {
                let file = place.path().join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, block.text).unwrap();
                files += 1;
            }
            ["console"] => commands += run_all(place.path(), &block.text),
            _ => panic!("a block of {:?} is not run by anything", block.info),
        }
    }
    (files, commands)
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let text: String =
            lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect();
        blocks.push(Block { info: info.split_whitespace().collect(), text });
    }
    blocks
}

/// Each line behind a `$` is a command; the lines up to the next are what it prints.
fn run_all(place: &Path, text: &str) -> usize {
    let mut commands = 0;
    for one in text.split("$ kubectl ").skip(1) {
        let (command, expected) = one.split_once('\n').unwrap();
        let path = format!("{}:{}", place.display(), std::env::var("PATH").unwrap());
        let mut shell = quiet(Command::new("sh"));
        shell.arg("-c").arg(format!("kubectl {command}")).current_dir(place).env("PATH", path);
        let Output { stdout, stderr, .. } = shell.output().unwrap();
        let found = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert_eq!(found, expected, "$ kubectl {command}");
        commands += 1;
    }
    commands
}
