//! Due requests become HTTP exchanges.
