//! The program `emr-sim`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_emr-sim"))
}

#[test]
fn it_serves_and_its_log_is_whole_after_a_kill() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let log = directory.path().join("arrivals.log");
    let arguments = ["--profile", "openemr-writes", "--listen", "127.0.0.1:0", "--no-oauth", "--log"];
    let mut server = program().args(arguments).arg(&log).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let mut output = BufReader::new(server.stdout.take().expect("its output"));
    output.read_line(&mut line)?;
    let address = line.trim().rsplit_once("://").map(|(_, address)| address.to_owned()).unwrap_or_default();
    let mut stream = TcpStream::connect(&address)?;
    write!(stream, "GET /apis/default/fhir/Patient HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.kill()?;
    server.wait()?;
    let verified = program().arg("--verify").arg(&log).output()?;
    assert_eq!(String::from_utf8_lossy(&verified.stdout), "2 lines, the chain is whole\n");
    Ok(())
}

#[test]
fn wrong_arguments_are_explained() -> std::io::Result<()> {
    for (arguments, word) in
        [(["--fault", "nonsense=1"], "commit_then_drop"), (["--profile", "openemr-9"], "openemr-7.0.2")]
    {
        let output = program().args(arguments).output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.starts_with("error: ") && text.contains(word), "{text}");
    }
    Ok(())
}
