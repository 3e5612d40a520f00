//! Running the command and reading what it says.

use std::process::{Command, Output, Stdio};

use sluice_e2e::process::program;

/// The command, without what the surroundings of the test would say to it.
pub fn cli() -> Command {
    quiet(Command::new(program("kubectl-sluice").unwrap()))
}

pub fn quiet(mut command: Command) -> Command {
    for name in ["KUBECONFIG", "SLUICE_DATA", "SLUICE_OPERATOR", "SLUICE_PKI", "SLUICE_NAMESPACE"] {
        command.env_remove(name);
    }
    command
}

/// What was said: exit code, standard output, standard error.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(command: &mut Command) -> Said {
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Standard output of a success.
    pub fn well(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    pub fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.well()).unwrap()
    }

    pub fn fails(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(says.iter().all(|says| self.err.contains(says)), "{says:?} is not all in {self:?}");
    }
}
