//! The conversation about a task: one object that chat, HTTP and other front ends drive.
