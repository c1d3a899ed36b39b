//! The answer.

use std::sync::Arc;

use regorus::Value;

/// Why, for logs and for those who may ask for an explanation. Callers are told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Allowed.
    Allowed,
    /// No role of the caller grants the permission.
    PermissionDenied,
    /// The permission reaches across tenants, and the caller's tenant does not administer the gateway.
    PlatformTenantOnly,
    /// The request names another tenant than the caller's.
    TenantMismatch,
    /// A rule of the caller's tenant denies it.
    TenantRule,
    /// The policy does not say.
    Undefined,
    /// A rule failed, or took too long.
    Failed,
}

impl Reason {
    /// UPPER_SNAKE, as the policy spells it where it does; empty where it is allowed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::PlatformTenantOnly => "PLATFORM_TENANT_ONLY",
            Self::TenantMismatch => "TENANT_MISMATCH",
            Self::TenantRule => "TENANT_RULE",
            Self::Undefined => "UNDEFINED",
            Self::Failed => "FAILED",
        }
    }

    /// What the policy answered. It is `{"allow": …, "reason": …}`, and anything else is a denial.
    pub(crate) fn of(answer: &Value) -> Self {
        if *answer == Value::Undefined {
            return Self::Undefined;
        }
        let (Ok(allow), Ok(reason)) = (answer["allow"].as_bool(), answer["reason"].as_string()) else {
            return Self::Failed;
        };
        match (*allow, reason.as_ref()) {
            (true, "") => Self::Allowed,
            (false, "PERMISSION_DENIED") => Self::PermissionDenied,
            (false, "PLATFORM_TENANT_ONLY") => Self::PlatformTenantOnly,
            (false, "TENANT_MISMATCH") => Self::TenantMismatch,
            (false, "TENANT_RULE") => Self::TenantRule,
            _ => Self::Failed,
        }
    }
}

/// A decision of one revision of the policy.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whether the caller may.
    pub allow: bool,
    /// Why.
    pub reason: Reason,
    /// SHA-256 of the files that decided, hexadecimal.
    pub revision: Arc<str>,
    /// Whether it was remembered.
    pub cached: bool,
    /// Where a rule failed and how, for the log; without any value of the input.
    pub fault: Option<String>,
}
