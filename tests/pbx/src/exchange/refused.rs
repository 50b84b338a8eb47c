//! Why an action is not possible.

use std::error::Error;
use std::fmt;

/// An action that makes no sense in the state of the call. A play that meets it is written wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The call is over or never was.
    NoCall(i64),
    /// The number is neither in the plan nor a number of the outside.
    NoNumber(String),
    /// The trunk has no such number.
    NoDid(String),
    /// Nobody of that name takes such a part in the call: who, what is missing, which call.
    NotIn(String, &'static str, i64),
    /// The call is not in a state for it: which call, what it would need.
    NotNow(i64, &'static str),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCall(call) => write!(f, "call {call} is over or never was"),
            Self::NoNumber(number) => write!(f, "nobody has the number {number}"),
            Self::NoDid(number) => {
                write!(f, "the trunk has no number {number}; add it to the plan")
            }
            Self::NotIn(who, what, call) => write!(f, "{who} {what} in call {call}"),
            Self::NotNow(call, needs) => write!(f, "call {call} would need {needs}"),
        }
    }
}

impl Error for Refused {}
