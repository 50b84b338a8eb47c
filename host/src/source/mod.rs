//! Where notices come from. A source watches one PBX and says what it sees, in order, as
//! [`notice::Notice`]s; it concludes nothing from them.

pub mod callcontrol;
pub mod notice;
pub mod recording;
