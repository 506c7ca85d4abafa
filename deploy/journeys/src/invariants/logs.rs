//! I9: no log of any process shows an address, a password, a token, or a secret the stack was made with.

use super::Findings;
use crate::failure::Result;
use crate::leaks::Searcher;
use crate::secrets;
use crate::stack::TestStack;

/// Searches every file in the stack's folder of logs.
pub fn check(stack: &TestStack, findings: &mut Findings) -> Result<()> {
    for leak in Searcher::new(secrets::known())?.in_folder(&stack.logs())? {
        findings.broken("I9", leak);
    }
    Ok(())
}
