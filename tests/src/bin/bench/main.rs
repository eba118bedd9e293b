//! `make bench`: measures, prints a table, and writes it to `docs/benchmarks.md`.

mod plan;
mod report;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|it| it == name);
    let mut table = report::Table::default();
    if wants("plan") {
        table.section("Deciding: plan + place + apply, one core");
        plan::run(&mut table);
    }
    println!("{}", table.markdown());
}
