//! farol
fn main(){}
