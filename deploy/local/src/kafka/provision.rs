//! What the stack's own broker is given each time it has started: its users' passwords, the committed access list and the topics.
//! All of it is set as it must be, whatever was there, so a data folder of another version or an empty one comes out the same.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use aws_lc_rs::pbkdf2;
use bytes::Bytes;
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, CreateAclsRequest, CreateTopicsRequest, DeleteAclsRequest, DescribeAclsRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::admin::{Admin, refused};
use super::list::{AccessList, Allowed, Topic};
use crate::error::{Error, Result};

/// Rounds of hashing between a password and what the broker keeps; the least Kafka takes, for passwords are 128 random bits.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);
const SCRAM_SHA_512: i8 = 2;
const TOPIC_ALREADY_EXISTS: i16 = 36;
/// The protocol's numbers for access lists: `ANY` in filters, an exact and a prefixed name, and that something is allowed.
const ANY: i8 = 1;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const ALLOW: i8 = 3;
const FROM_ANYWHERE: &str = "*";
/// How long the broker may take to follow its controller.
const FOLLOWED: Duration = Duration::from_secs(30);
const CREATION_MS: i32 = 10_000;

/// One rule as the broker has it, which may be none of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    resource: i8,
    name: String,
    pattern: i8,
    principal: String,
    host: String,
    operation: i8,
    permission: i8,
}

/// Sets passwords, access list and topics, and answers when the broker goes by them.
///
/// # Errors
/// When the broker refuses, or does not follow within half a minute.
pub async fn provision(admin: &mut Admin, users: &[(&str, &str)], list: &AccessList) -> Result<()> {
    set_passwords(admin, users).await?;
    set_rules(admin, &list.allowed).await?;
    create_topics(admin, &list.topics).await
}

async fn set_passwords(admin: &mut Admin, users: &[(&str, &str)]) -> Result<()> {
    let upsertions = users.iter().map(|(user, password)| {
        let salt: [u8; 32] = rand::random();
        let mut salted = [0; 64];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ITERATIONS, &salt, password.as_bytes(), &mut salted);
        ScramCredentialUpsertion::default()
            .with_name(text(*user))
            .with_mechanism(SCRAM_SHA_512)
            .with_iterations(ITERATIONS.get().cast_signed())
            .with_salt(Bytes::copy_from_slice(&salt))
            .with_salted_password(Bytes::copy_from_slice(&salted))
    });
    let request = AlterUserScramCredentialsRequest::default().with_upsertions(upsertions.collect());
    for result in admin.ask(&request, 0).await?.results {
        let doing = format!("set the password of Kafka's user {}", result.user);
        refused(result.error_code, &doing, result.error_message.as_deref())?;
    }
    Ok(())
}

/// Adds the rules that are missing and takes away those that are not in the list.
async fn set_rules(admin: &mut Admin, allowed: &[Allowed]) -> Result<()> {
    let wanted: BTreeSet<Rule> = allowed.iter().map(Rule::of).collect();
    let deadline = tokio::time::Instant::now() + FOLLOWED;
    let found = rules(admin).await?;
    let missing: Vec<AclCreation> = wanted.difference(&found).map(Rule::creation).collect();
    if !missing.is_empty() {
        for result in admin.ask(&CreateAclsRequest::default().with_creations(missing), 3).await?.results {
            refused(result.error_code, "allow Kafka's users what they may do", result.error_message.as_deref())?;
        }
    }
    let surplus: Vec<DeleteAclsFilter> = found.difference(&wanted).map(Rule::filter).collect();
    if !surplus.is_empty() {
        for result in admin.ask(&DeleteAclsRequest::default().with_filters(surplus), 3).await?.filter_results {
            refused(result.error_code, "take a right from Kafka's users", result.error_message.as_deref())?;
        }
    }
    // The controller has it; the broker follows within milliseconds, and a service must not come first.
    while rules(admin).await? != wanted {
        if tokio::time::Instant::now() >= deadline {
            return Err(Error::failed("Kafka does not go by its access list after half a minute"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// All rules the broker goes by.
async fn rules(admin: &mut Admin) -> Result<BTreeSet<Rule>> {
    let all = DescribeAclsRequest::default()
        .with_resource_type_filter(ANY)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(ANY)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(ANY)
        .with_permission_type(ANY);
    let answer = admin.ask(&all, 3).await?;
    refused(answer.error_code, "read Kafka's access list", answer.error_message.as_deref())?;
    let rules = answer.resources.into_iter().flat_map(|resource| {
        let named = move |acl: kafka_protocol::messages::describe_acls_response::AclDescription| Rule {
            resource: resource.resource_type,
            name: resource.resource_name.to_string(),
            pattern: resource.pattern_type,
            principal: acl.principal.to_string(),
            host: acl.host.to_string(),
            operation: acl.operation,
            permission: acl.permission_type,
        };
        resource.acls.into_iter().map(named)
    });
    Ok(rules.collect())
}

async fn create_topics(admin: &mut Admin, topics: &[Topic]) -> Result<()> {
    let wanted = topics.iter().map(|topic| {
        let retention = CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str("retention.ms"))
            .with_value(Some(text(topic.retention_ms.to_string())));
        CreatableTopic::default()
            .with_name(TopicName(text(&topic.name)))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(1)
            .with_configs(vec![retention])
    });
    let request = CreateTopicsRequest::default().with_topics(wanted.collect()).with_timeout_ms(CREATION_MS);
    for result in admin.ask(&request, 7).await?.topics {
        if result.error_code != TOPIC_ALREADY_EXISTS {
            let doing = format!("make the topic {}", result.name.0);
            refused(result.error_code, &doing, result.error_message.as_deref())?;
        }
    }
    Ok(())
}

impl Rule {
    fn of(allowed: &Allowed) -> Self {
        Self {
            resource: allowed.resource as i8,
            name: allowed.name.clone(),
            pattern: if allowed.is_prefix { PREFIXED } else { LITERAL },
            principal: format!("User:{}", allowed.user),
            host: FROM_ANYWHERE.to_owned(),
            operation: allowed.operation as i8,
            permission: ALLOW,
        }
    }

    fn creation(&self) -> AclCreation {
        AclCreation::default()
            .with_resource_type(self.resource)
            .with_resource_name(text(&self.name))
            .with_resource_pattern_type(self.pattern)
            .with_principal(text(&self.principal))
            .with_host(text(&self.host))
            .with_operation(self.operation)
            .with_permission_type(self.permission)
    }

    /// What matches this rule and no other.
    fn filter(&self) -> DeleteAclsFilter {
        DeleteAclsFilter::default()
            .with_resource_type_filter(self.resource)
            .with_resource_name_filter(Some(text(&self.name)))
            .with_pattern_type_filter(self.pattern)
            .with_principal_filter(Some(text(&self.principal)))
            .with_host_filter(Some(text(&self.host)))
            .with_operation(self.operation)
            .with_permission_type(self.permission)
    }
}

fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}
