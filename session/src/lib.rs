//! The conversation that chat, HTTP and other fronts drive.
