//! Who may use the CLI's side of the operator.

use std::fmt;
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

/// A caller that was recognised.
pub enum Reader {
    Administrator,
    User { client: Client, user: Box<UserInfo> },
}

impl Gate {
    /// Recognises the caller.
    ///
    /// # Errors
    /// It shows nothing that this operator knows, or the API server cannot be asked.
    pub async fn recognise(&self, caller: &Caller) -> Result<Reader, Status> {
        if caller.admin_certificate {
            return Ok(Reader::Administrator);
        }
        match (self, &caller.token) {
            (Gate::Certificate, _) => {
                Err(Status::unauthenticated("give the administrator's certificate (DATA/pki/admin.crt)"))
            }
            (Gate::AccessReview(_), None) => Err(Status::unauthenticated("give a bearer token")),
            (Gate::AccessReview(client), Some(token)) => {
                let user = Box::new(review_token(client, token).await?);
                Ok(Reader::User { client: client.clone(), user })
            }
        }
    }
}

impl Reader {
    /// Whether the API server would let it do so itself; no namespace means all of them.
    ///
    /// # Errors
    /// The API server cannot be asked.
    pub async fn may(&self, verb: &str, kind: Kind, namespace: Option<&str>) -> Result<bool, Status> {
        match self {
            Reader::Administrator => Ok(true),
            Reader::User { client, user } => review_access(client, user, verb, kind, namespace).await,
        }
    }

    /// # Errors
    /// It may not do so in every namespace, or the API server cannot be asked.
    pub async fn require(&self, verb: &str, kind: Kind) -> Result<(), Status> {
        if self.may(verb, kind, None).await? {
            return Ok(());
        }
        Err(Status::permission_denied(format!("{self} may not {verb} {}.{GROUP}", kind.plural())))
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reader::Administrator => f.write_str("the administrator"),
            Reader::User { user, .. } => f.write_str(user.username.as_deref().unwrap_or("a nameless user")),
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

async fn review_access(
    client: &Client,
    user: &UserInfo,
    verb: &str,
    kind: Kind,
    namespace: Option<&str>,
) -> Result<bool, Status> {
    let attributes = ResourceAttributes {
        group: Some(GROUP.to_owned()),
        resource: Some(kind.plural().to_owned()),
        verb: Some(verb.to_owned()),
        namespace: namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let user = user.clone();
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
    Ok(answer.status.is_some_and(|status| status.allowed))
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
