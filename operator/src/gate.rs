//! Who may use the CLI's side of the operator.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use sluice_crds::{GROUP, Kind};
use tokio::time::timeout;
use tonic::Status;

const CALL: Duration = Duration::from_secs(5);

/// What is known of a caller: an administrator's certificate, or a bearer token.
#[derive(Clone, Debug)]
pub struct Caller {
    pub admin_certificate: bool,
    pub token: Option<String>,
}

#[derive(Clone)]
pub enum Gate {
    /// Directory mode: the certificate that the operator made for its administrator.
    Certificate,
    /// A cluster: what the API server lets the token's user do with the kind.
    AccessReview(Client),
}

impl Gate {
    pub async fn check_read(&self, caller: &Caller, kind: Kind) -> Result<(), Status> {
        self.check(caller, kind, "list").await
    }

    pub async fn check_delete(&self, caller: &Caller) -> Result<(), Status> {
        self.check(caller, Kind::XdpFilter, "delete").await
    }

    async fn check(&self, caller: &Caller, kind: Kind, verb: &str) -> Result<(), Status> {
        if caller.admin_certificate {
            return Ok(());
        }
        match (self, &caller.token) {
            (Gate::Certificate, _) => {
                Err(Status::unauthenticated("give the administrator's certificate (DATA/pki/admin.crt)"))
            }
            (Gate::AccessReview(_), None) => Err(Status::unauthenticated("give a bearer token")),
            (Gate::AccessReview(client), Some(token)) => {
                let user = review_token(client, token).await?;
                review_access(client, user, kind, verb).await
            }
        }
    }
}

async fn review_token(client: &Client, token: &str) -> Result<UserInfo, Status> {
    let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences: None };
    let review = TokenReview { spec, ..TokenReview::default() };
    let answer = create(Api::all(client.clone()), &review).await?;
    let status = answer.status.unwrap_or_default();
    match (status.authenticated, status.user) {
        (Some(true), Some(user)) => Ok(user),
        _ => Err(Status::unauthenticated("the API server does not know this token")),
    }
}

async fn review_access(client: &Client, user: UserInfo, kind: Kind, verb: &str) -> Result<(), Status> {
    let name = user.username.clone().unwrap_or_default();
    let attributes = ResourceAttributes {
        group: Some(GROUP.to_owned()),
        resource: Some(kind.plural().to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: user.username,
        uid: user.uid,
        groups: user.groups,
        extra: user.extra,
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = create(Api::all(client.clone()), &review).await?;
    if answer.status.is_some_and(|status| status.allowed) {
        return Ok(());
    }
    Err(Status::permission_denied(format!("{name} may not {verb} {}.{GROUP}", kind.plural())))
}

async fn create<K>(api: Api<K>, object: &K) -> Result<K, Status>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    match timeout(CALL, api.create(&PostParams::default(), object)).await {
        Ok(answer) => {
            answer.map_err(|error| Status::unavailable(format!("the API server refuses to review: {error}")))
        }
        Err(_) => Err(Status::unavailable("the API server does not answer: nobody can be let in now")),
    }
}
