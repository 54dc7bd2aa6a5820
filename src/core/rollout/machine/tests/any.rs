//! Whatever comes, in whatever order: every watch ends, and each step holds what `Watch` checks.

use super::*;

/// One of the words between the commas.
fn pick<'a>(random: &mut fastrand::Rng, words: &'a str) -> &'a str {
    let words: Vec<_> = words.split(',').collect();
    words[random.usize(..words.len())]
}

fn any_answer(random: &mut fastrand::Rng) -> String {
    if random.u8(..5) == 0 {
        return pick(random, "404,404-,503,503+9,401,302").to_owned();
    }
    let ids = ["new,new,new,old,other,-", "new,new,old,-"].map(|ids| pick(random, ids));
    let words = [
        ",ready,ready",
        ",Creating,Validating,Active,Failed,Odd,old:Failed,:Active",
        ",,CrashLoopBackOff*2,run*1,run*3/2,ErrImagePull*0,InvalidImageName*0",
        ",,,issue,prev,err=PCC_X,degraded,err=PCC_X@new,readies=1 min=2",
        ",,c900,c950,c1002",
        ",,u960,u990,r970",
    ];
    let words = words.map(|words| pick(random, words));
    format!("{} {}", ids.join("/"), words.join(" "))
}

#[test]
fn every_watch_ends_and_every_step_holds() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut verdicts = std::collections::HashSet::new();
    for _ in 0..8_000 {
        let asked = [
            "first,id new,not old@920,not old,not nothing,run",
            "dated,timeout 300",
            "restarts 2,stable 4,until drained,until warm",
            "grace 5,stall 9,require-new,accept",
        ];
        let asked = asked.map(|words| pick(&mut random, words));
        let mut watch = watch(&asked.join(", "));
        let is_run = asked[0] == "run";
        let (mut at, mut answer) = (0, any_answer(&mut random));
        while watch.verdict().is_none() {
            watch.take_in(ms(at), &answer);
            let baseline = watch.machine.view.baseline.is_some();
            if is_run && baseline && watch.machine.command == Command::NotStarted {
                watch.take_in(ms(at), "start");
            } else if watch.machine.command == Command::Running && random.u8(..9) == 0 {
                let code = random.u8(..2);
                watch.take_in(ms(at), &format!("end {code}"));
            }
            at += random.u64(100..3000);
            // Most answers repeat the one before, or nothing would ever be confirmed.
            if random.u8(..4) == 0 {
                answer = any_answer(&mut random);
            }
            assert!(at < 2_000_000, "{asked:?} does not end");
        }
        verdicts.insert(watch.verdict().unwrap().as_str());
    }
    // All but a timeout, for which this is too lively, and an interruption.
    assert_eq!(verdicts.len(), 10, "{verdicts:?}");
}
