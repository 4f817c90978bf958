//! A small SMTP server with STARTTLS, which remembers mails and what it was told in the clear.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// How the server behaves.
#[derive(Clone, Default)]
pub struct Manners {
    /// Its certificate; without, it offers no TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether TLS begins at once.
    pub implicit: bool,
    /// What it says to `RCPT TO`, if not yes.
    pub recipient: Option<&'static str>,
}

#[derive(Default)]
struct Heard {
    mails: Vec<String>,
    in_the_clear: Vec<String>,
}

/// The server.
pub struct SmtpServer {
    pub address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
}

impl SmtpServer {
    pub async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let shared = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (manners, heard) = (manners.clone(), shared.clone());
                // A client that goes away in the middle has said what it had to say.
                tokio::spawn(async move { serve(stream, manners, heard).await.ok() });
            }
        });
        Self { address, heard }
    }

    /// The mails that were accepted.
    pub fn mails(&self) -> Vec<String> {
        self.heard.lock().unwrap().mails.clone()
    }

    /// The commands that came without TLS.
    pub fn in_the_clear(&self) -> Vec<String> {
        self.heard.lock().unwrap().in_the_clear.clone()
    }
}

async fn serve(
    stream: TcpStream,
    manners: Manners,
    heard: Arc<Mutex<Heard>>,
) -> std::io::Result<()> {
    if let Some(tls) = manners.tls.clone().filter(|_| manners.implicit) {
        let stream = TlsAcceptor::from(tls).accept(stream).await?;
        converse(stream, &manners, &heard, true, true).await?;
        return Ok(());
    }
    let Some(stream) = converse(stream, &manners, &heard, false, true).await? else {
        return Ok(());
    };
    if let Some(tls) = manners.tls.clone() {
        let stream = TlsAcceptor::from(tls).accept(stream).await?;
        converse(stream, &manners, &heard, true, false).await?;
    }
    Ok(())
}

/// Answers commands; gives the stream back where TLS is to begin.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    manners: &Manners,
    heard: &Mutex<Heard>,
    is_encrypted: bool,
    greets: bool,
) -> std::io::Result<Option<S>> {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.write_all(b"220 mail.example ESMTP\r\n").await?;
    }
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let command = line.trim_end().to_owned();
        if !is_encrypted {
            heard.lock().unwrap().in_the_clear.push(command.clone());
        }
        let word = command
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" if manners.tls.is_some() && !is_encrypted => "250-mail.example\r\n250 STARTTLS",
            "EHLO" => "250-mail.example\r\n250 AUTH PLAIN LOGIN",
            "STARTTLS" => {
                stream.write_all(b"220 go\r\n").await?;
                return Ok(Some(stream.into_inner()));
            }
            "AUTH" => "235 welcome",
            "RCPT" => manners.recipient.unwrap_or("250 ok"),
            "DATA" => {
                stream.write_all(b"354 go\r\n").await?;
                let mail = read_mail(&mut stream).await?;
                heard.lock().unwrap().mails.push(mail);
                "250 accepted"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

async fn read_mail<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let mut mail = String::new();
    loop {
        let from = mail.len();
        if stream.read_line(&mut mail).await? == 0 || &mail[from..] == ".\r\n" {
            mail.truncate(from);
            return Ok(mail);
        }
    }
}
