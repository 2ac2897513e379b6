# A web server of one line: perl web.pl ADDRESS NAME
use strict;
use IO::Socket::INET;
my ($address, $name) = @ARGV;
my $listener = IO::Socket::INET->new(LocalAddr => $address, LocalPort => 80, Listen => 64, ReuseAddr => 1) or die "$address: $!";
$SIG{PIPE} = 'IGNORE';
while (my $client = $listener->accept) {
    $client->sysread(my $request, 4096);
    my $length = length($name) + 1;
    print $client "HTTP/1.0 200 OK\r\nContent-Length: $length\r\n\r\n$name\n";
    close $client;
}
