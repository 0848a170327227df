# A slot whose release failed for longer than ~6.4 s is never released again: its holder lives, does not serve it, and no other may take it.
from lib import *; from lib import _procs
P=BIN+'/serve'
r=server(); N=8
r.execute_command('ACL','SETUSER','a','on','>x','~*','&*','+@all')
def node(name,url):
    p=subprocess.Popen([P,url,str(N)],stdout=open(f'{r.dir}/{name}','w'),stderr=subprocess.STDOUT); _procs.append(p); return p
def holders(): return [ (r.hget(Q(r,'keyed',i).lease,'holder') or b'-').decode()[-6:] for i in range(N)]
A=node('A',f'redis://a:x@127.0.0.1:{r.port}'); time.sleep(5); print('A serves        ',holders())
# B joins while A's releases fail for 12 s (a fault injected by access rules; in a cluster: the slots' shard is away, the home shard is not)
r.execute_command('ACL','SETUSER','a','-hset')
B=node('B',f'redis://127.0.0.1:{r.port}'); time.sleep(14)
r.execute_command('ACL','SETUSER','a','+hset'); print('A may release again'); time.sleep(10)
names=[n.decode() for n in r.zrange(Q(r,'keyed').members,0,-1)]
print('A and B are there',[n[-6:] for n in names]); print('holders         ',holders())
for i in range(N): r.xadd(Q(r,'keyed',i).lanes[3],{'j':env(bytes([i])*16,b'keyed',b'\x82\xa1n'+bytes([i])+b'\xa2ms\x00')})
time.sleep(60); print('jobs that wait after 60 s, by slot:',[r.xlen(Q(r,'keyed',i).lanes[3]) for i in range(N)],holders())
print('A says:',[l.strip()[-130:] for l in open(r.dir+'/A') if 'no longer serves' in l][:1])
A.send_signal(signal.SIGTERM); time.sleep(25); print('A stopped                         :',[r.xlen(Q(r,'keyed',i).lanes[3]) for i in range(N)],holders())
