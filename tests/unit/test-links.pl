#!/usr/bin/env perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every relative link of the documentation leads to a file that is there, with the heading that it
# names; every page is linked from README.md and installed by docs/local.mk, and so is every picture.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Find;
use FindBin;

my $top = abs_path("$FindBin::Bin/../..");
my ($passed, $failed) = (0, 0);

sub ok {
    my ($what, @faults) = @_;
    @faults ? $failed++ : $passed++;
    print @faults ? "not ok: $what\n" : "ok: $what\n", map { "    $_\n" } @faults;
    return;
}

sub text_of {
    my ($file) = @_;
    open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
    local $/;
    return scalar <$in>;
}

# What of a page is neither code nor comment: links and headings are nowhere else.
sub prose {
    my ($text) = @_;
    $text =~ s/<!--.*?-->//gs;
    $text =~ s/^(```+|~~~+)[^\n]*\n.*?^\1[ \t]*$//gms;
    $text =~ s/^(?: {4}|\t)[^\n]*$//gm;
    return $text;
}

# The anchors of a page's headings, as GitHub makes them.
sub anchors {
    my ($text) = @_;
    my (%seen, @found);
    for my $heading (prose($text) =~ /^#{1,6}[ \t]+([^\n]*?)[ \t]*$/gm) {
        $heading =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
        my $anchor = lc $heading =~ s/[`*\\]//gr;
        $anchor =~ s/[^\w\- ]//g;
        $anchor =~ tr/ /-/;
        my $before = $seen{$anchor}++;
        push @found, $before ? "$anchor-$before" : $anchor;
    }
    return @found;
}

# (line, target) of each link and picture.
sub links {
    my ($text) = @_;
    my $prose = prose($text) =~ s/(`+).+?\1//gsr;
    return $prose =~ /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g;
}

sub faults_of {
    my ($file, $pages) = @_;
    my @faults;
    for my $link (links($pages->{$file})) {
        next if $link =~ /^[a-z][a-z0-9+.-]*:/i;
        my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
        my $target = $path eq '' ? $file : dirname($file) . "/$path";
        if (!-e $target) {
            push @faults, "$link: there is no such file";
            next;
        }
        next if !defined $anchor;
        my $text = $pages->{ abs_path($target) };
        push @faults, "$link: there is no such heading"
            if !defined $text || !grep { $_ eq $anchor } anchors($text);
    }
    return @faults;
}

# ---- the checker itself

sub test_checker {
    my $page = "# One `two`, three\n[a](b.md) `[c](d.md)` <!-- [e](f) -->\n    [g](h)\n"
        . "```\n[i](j)\n# no\n```\n![k](l.png \"m\")\n## A_b (c)\n## A_b (c)\n";
    my @faults;
    push @faults, join ' ', links($page) if "@{[links($page)]}" ne 'b.md l.png';
    push @faults, join ' ', anchors($page) if "@{[anchors($page)]}" ne 'one-two-three a_b-c a_b-c-1';
    my $file = "$top/README.md";
    my @bad = faults_of($file, { $file => '[a](none.md) [b](#none) [c](README.md#none) [d](mailto:x)' });
    push @faults, "of three bad links are found: @bad" if @bad != 3;
    return ok('bad links are found', @faults);
}

# ---- the documentation

my %pages;
find({ no_chdir => 1, preprocess => sub { grep { !/^(?:\.git|autom4te\.cache|build(?:-.*)?|debian|_build|_inst)$/ } @_ },
       wanted => sub { $pages{ abs_path($_) } = text_of($_) if /\.md$/ && -f } }, $top);

test_checker();
ok('there are pages', %pages > 10 ? () : 'only ' . keys %pages);
for my $file (sort keys %pages) {
    ok($file =~ s{^\Q$top\E/}{}r, faults_of($file, \%pages));
}

my %linked = map { abs_path("$top/$_") // '' => 1 } map { s/#.*//r } links($pages{"$top/README.md"});
ok('README.md links every page of docs/',
    grep { m{^\Q$top\E/docs/[^/]*\.md$} && !$linked{$_} } sort keys %pages);

my $listed = text_of("$top/docs/local.mk");
ok('docs/local.mk installs every page and picture',
    grep { index($listed, $_) < 0 } map { s{^\Q$top\E/}{}r } sort +(grep { m{/docs/[^/]*\.md$} } keys %pages),
    glob("$top/docs/images/*"));

print "$passed passed, $failed failed\n";
exit($failed ? 1 : 0);
