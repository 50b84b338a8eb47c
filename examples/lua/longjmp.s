# What setjmp and longjmp are made of in WebAssembly: an exception. Zig's libc does not define it.
.tagtype __c_longjmp i32
.globl __c_longjmp
__c_longjmp:
