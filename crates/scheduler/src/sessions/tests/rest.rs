//! Time that goes by where nothing happens.

use super::*;

/// As many agents as of a large cluster, taken in, with an instance here and there.
fn many(n: u32) -> (Desk, Vec<LinkId>) {
    let mut desk = Desk::new();
    for it in 2..=n {
        desk.apply(Command::Register { node: node(it) });
    }
    let links = (1..=n).map(|it| desk.joined(it)).collect();
    (desk, links)
}

#[test]
fn at_rest_an_agent_is_looked_at_once_per_patience_however_often_it_is_heard() {
    let (mut desk, links) = many(200);
    desk.pass(0);
    let before = desk.sessions.n_looked;
    for round in 0..300 {
        if round % 8 == 0 {
            for link in &links {
                desk.say(*link, FromAgent::Obeys { generation: 1 });
            }
        }
        desk.pass(100);
    }
    let looked = desk.sessions.n_looked - before;
    assert!((400..=800).contains(&looked), "30 s are three patiences of 200 agents: {looked}");
    for link in &links {
        assert!(!desk.letters(*link).contains(&Letter::End), "and none of them is hung up on");
    }
}

#[test]
fn who_falls_silent_is_hung_up_on_to_the_tick_and_nobody_else() {
    let (mut desk, links) = many(3);
    for _ in 0..99 {
        desk.pass(100);
        desk.say(links[0], FromAgent::Alive);
        desk.say(links[1], FromAgent::Alive);
    }
    assert!(!desk.letters(links[2]).contains(&Letter::End), "there is time left");
    desk.pass(100);
    assert_eq!(desk.letters(links[2]), [Letter::End]);
    for link in &links[..2] {
        assert!(!desk.letters(*link).contains(&Letter::End));
    }
}
