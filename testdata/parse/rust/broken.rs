fn before() {}

struct Open {
    a: u32,

fn inside(x: u32 -> u32 {
    x +
}

impl Foo {
    fn kept(&self) -> u8 { 1 }
}

fn after() { let x = ; }
