//! The token of a kubeconfig's user, which goes along to the operator.

use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use kube::config::{AuthInfo, ExecConfig, Kubeconfig};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// The operator asks the API server what this token may read.
pub fn of_user(kubeconfig: &Kubeconfig, context: Option<&str>) -> anyhow::Result<String> {
    let name = context.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig.contexts.iter().find(|context| Some(context.name.as_str()) == name);
    let user = context.and_then(|context| context.context.as_ref()).and_then(|context| context.user.clone());
    let found = kubeconfig.auth_infos.iter().find(|info| Some(&info.name) == user.as_ref());
    let auth = found.and_then(|found| found.auth_info.clone()).unwrap_or_default();
    of_auth(&auth)?.context(
        "this kubeconfig user has no token (a client certificate cannot be passed on): \
         set SLUICE_TOKEN, for example to the output of `kubectl create token SERVICEACCOUNT`",
    )
}

fn of_auth(auth: &AuthInfo) -> anyhow::Result<Option<String>> {
    if let Some(token) = &auth.token {
        return Ok(Some(token.expose_secret().to_owned()));
    }
    if let Some(file) = &auth.token_file {
        return Ok(Some(std::fs::read_to_string(file).with_context(|| file.clone())?));
    }
    auth.exec.as_ref().map_or(Ok(None), of_plugin)
}

/// A credential plugin (client.authentication.k8s.io), as kubectl runs it.
fn of_plugin(exec: &ExecConfig) -> anyhow::Result<Option<String>> {
    let Some(program) = &exec.command else { bail!("users[].user.exec of the kubeconfig has no command") };
    let info =
        json!({"kind": "ExecCredential", "apiVersion": exec.api_version, "spec": {"interactive": false}});
    let mut command = Command::new(program);
    command.args(exec.args.iter().flatten()).env("KUBERNETES_EXEC_INFO", info.to_string());
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("credential plugin {program} of the kubeconfig"))?;
    ensure!(output.status.success(), "credential plugin {program} of the kubeconfig: {}", output.status);
    let answer: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("credential plugin {program} prints no ExecCredential"))?;
    Ok(answer["status"]["token"].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(user: &str) -> Kubeconfig {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts:\n\
             - {{name: here, context: {{cluster: c, user: me}}}}\n\
             - {{name: there, context: {{cluster: c, user: other}}}}\nclusters: []\nusers:\n\
             - {{name: me, user: {user}}}\n- {{name: other, user: {{token: theirs}}}}\n"
        );
        Kubeconfig::from_yaml(&text).expect("a kubeconfig")
    }

    fn token(user: &str) -> String {
        of_user(&kubeconfig(user), None).unwrap_or_else(|error| format!("{error:#}"))
    }

    #[test]
    fn a_token_is_found_where_kubectl_finds_it() {
        assert_eq!(token("{token: mine}"), "mine");
        assert_eq!(of_user(&kubeconfig("{token: mine}"), Some("there")).expect("a token"), "theirs");
        assert!(token("{tokenFile: /nonexistent}").contains("/nonexistent"));
        let plugin = r#"{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, env: [{name: WHO, value: me}],
            args: [-c, 'echo "{\"status\": {\"token\": \"$WHO-by-plugin\"}}"']}}"#;
        assert_eq!(token(plugin), "me-by-plugin");
    }

    #[test]
    fn a_user_without_a_token_is_told_what_to_do() {
        assert!(token("{client-certificate: a.crt}").contains("set SLUICE_TOKEN"));
        assert!(
            token("{exec: {command: 'false'}}")
                .contains("credential plugin false of the kubeconfig: exit status: 1")
        );
        assert!(token("{exec: {command: echo, args: [hello]}}").contains("prints no ExecCredential"));
    }
}
