//! A small TCP proxy between a node and a service, which can slow the link down, hold it up or cut it.

use std::{
    error::Error,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What a link does with what passes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything passes.
    Pass,
    /// Every piece waits this long.
    Slow(Duration),
    /// Connections stay open and nothing passes.
    Stall,
    /// Connections are closed, new ones too.
    Cut,
}

struct Link {
    to: u16,
    mode: Mutex<Mode>,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

/// A link from a port of its own to another port of this machine.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    link: Arc<Link>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    fn mode(&self) -> Mode {
        *lock(&self.mode)
    }

    fn cut(&self) {
        for stream in lock(&self.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: &Arc<Self>, client: TcpStream) -> std::io::Result<()> {
        if self.mode() == Mode::Cut {
            return client.shutdown(Shutdown::Both);
        }
        let server = TcpStream::connect(("127.0.0.1", self.to))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        {
            let mut open = lock(&self.open);
            // Those that have ended are forgotten now and then.
            if open.len() > 512 {
                open.retain(|s| s.peer_addr().is_ok());
            }
            open.extend([client.try_clone()?, server.try_clone()?]);
        }
        for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
            let link = self.clone();
            std::thread::Builder::new().stack_size(128 << 10).spawn(move || link.pipe(from, to))?;
        }
        Ok(())
    }

    fn pipe(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(n) = from.read(&mut buffer) {
            if n == 0 {
                break;
            }
            while self.mode() == Mode::Stall && !self.ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            if let Mode::Slow(wait) = self.mode() {
                std::thread::sleep(wait);
            }
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

impl Proxy {
    /// A link to a port.
    pub fn to(port: u16) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let own = listener.local_addr()?.port();
        let link = Arc::new(Link {
            to: port,
            mode: Mutex::new(Mode::Pass),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let of = link.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of.ended.load(Ordering::Relaxed) {
                    return;
                }
                // A service that is not there: the client sees its connection close.
                let _ = of.accept(client);
            }
        });
        Ok(Self { port: own, link })
    }

    /// Changes what the link does.
    pub fn set(&self, mode: Mode) {
        *lock(&self.link.mode) = mode;
        if mode == Mode::Cut {
            self.link.cut();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.link.ended.store(true, Ordering::Relaxed);
        self.link.cut();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}
