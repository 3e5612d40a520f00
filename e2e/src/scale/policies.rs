//! The policies of a fleet: one for all of its nodes, and some for each of its classes.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;

/// The policy for all.
pub const ALL: &str = "all";
/// The address set that it may ask for, and the file of its prefixes.
pub const SET: &str = "listed";
const LIST: &str = "listed.txt";

pub struct Policies {
    directory: PathBuf,
    classes: usize,
    edits: u32,
}

impl Policies {
    pub fn new(directory: &Path, classes: usize) -> anyhow::Result<Policies> {
        std::fs::create_dir_all(directory)?;
        let policies = Policies { directory: directory.to_owned(), classes, edits: 0 };
        policies.of_classes(1)?;
        policies.save("all.yaml", &filter(ALL, None, &sources(0)))?;
        Ok(policies)
    }

    /// Each class has so many of its own.
    pub fn of_classes(&self, number: usize) -> anyhow::Result<()> {
        for class in 0..self.classes {
            let of_class = |index| filter(&format!("class-{class}-{index}"), Some(class), &sources(index));
            let text: Vec<String> = (0..number).map(|index| of_class(index as u32)).collect();
            self.save(&format!("class-{class}.yaml"), &text.join("---\n"))?;
        }
        Ok(())
    }

    /// Another version of the policy for all.
    pub fn edit(&mut self) -> anyhow::Result<()> {
        self.edits += 1;
        self.save("all.yaml", &filter(ALL, None, &sources(self.edits)))
    }

    /// The policy for all asks for an address set of so many prefixes.
    pub fn use_set(&mut self, prefixes: usize) -> anyhow::Result<()> {
        self.save(LIST, &list(prefixes))?;
        let set = format!(
            "apiVersion: sluice.dev/v1alpha1\nkind: XdpAddressSet\nmetadata: {{name: {SET}}}\nspec: {{files: [{LIST}]}}\n"
        );
        self.save("listed.yaml", &set)?;
        self.edits += 1;
        self.save("all.yaml", &filter(ALL, None, &format!("sets: [{SET}]")))
    }

    /// One prefix more.
    pub fn extend_set(&self, prefixes: usize) -> anyhow::Result<()> {
        self.save(LIST, &(list(prefixes) + "203.0.113.2/32\n"))
    }

    /// A reader meets the old or the new.
    fn save(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let temporary = self.directory.join(format!(".{name}.tmp"));
        std::fs::write(&temporary, text)?;
        Ok(std::fs::rename(temporary, self.directory.join(name))?)
    }
}

fn filter(name: &str, class: Option<usize>, sources: &str) -> String {
    let nodes = class
        .map(|class| format!("  nodeSelector: {{matchLabels: {{role: \"{class}\"}}}}\n"))
        .unwrap_or_default();
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}}}\nspec:\n{nodes}  interfaces: \
         {{names: [eth0]}}\n  rules:\n  - name: bad\n    action: Drop\n    match: {{sources: {{{sources}}}}}\n"
    )
}

fn sources(number: u32) -> String {
    format!("cidrs: [{}/32]", Ipv4Addr::from(0x0a00_0000 | number))
}

/// Spread over all addresses, half of them single ones.
fn list(prefixes: usize) -> String {
    let mut text = String::with_capacity(prefixes * 18);
    for number in 0..prefixes as u32 {
        let address = Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1));
        let length = 32 - (number % 4 * (number % 3)) as u8;
        let net = Ipv4Net::new_assert(address, length).trunc();
        writeln!(text, "{net}").expect("a string takes any text");
    }
    text
}
